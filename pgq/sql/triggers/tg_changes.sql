-- Returns the positions of those columns that an update changes, among the positions given.
--
--   compared            positions of the columns to compare
--   loose, names        positions of the columns, and their names, whose types know better than their texts
--                       whether values are equal
--   columns             how many columns the rows have
--   old_text, new_text  the rows as text
--   old_row, new_row    the rows
create or replace function pgq.tg_changes(
    compared integer[], loose integer[], names text[], columns integer, old_text text, new_text text,
    old_row record, new_row record)
returns integer[]
language plpgsql stable
as $$
declare
    old_values text[];
    new_values text[];
    changes integer[] := '{}';
    equal boolean;
    i integer;
begin
    if old_text = new_text collate "C" then
        return changes;
    end if;
    old_values := pgq.tg_values(old_text, columns);
    new_values := pgq.tg_values(new_text, columns);
    foreach i in array compared loop
        if old_values[i] is distinct from new_values[i] collate "C" then
            equal := false;
            if i = any (loose) then
                execute pg_catalog.format(
                    'select pg_catalog.record_eq(row(($1).%1$I), row(($2).%1$I))', names[i])
                into equal using old_row, new_row;
            end if;
            if not equal then
                changes := changes || i;
            end if;
        end if;
    end loop;
    return changes;
end
$$;
