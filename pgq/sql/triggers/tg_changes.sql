-- Returns the positions of those columns that an update changes, among the positions given.
--
--   compared                positions of the columns to compare
--   loose                   positions of the columns whose equal values may differ as text
--   names                   of the columns
--   old_values, new_values  the rows' values, as tg_values() returns them
--   old_row, new_row        the rows
create or replace function pgq.tg_changes(
    compared integer[], loose integer[], names text[], old_values text[], new_values text[],
    old_row record, new_row record)
returns integer[]
language plpgsql stable
as $$
declare
    changes integer[] := '{}';
    equal boolean;
    i integer;
begin
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
