-- Returns the positions of those columns that an update changes, among the positions given.
--
--   compared                positions of the columns to compare
--   numerics                positions of the columns of type numeric
--   loose                   positions of the other columns whose equal values may differ as text
--   names                   of the columns
--   old_values, new_values  the rows' values, as tg_values() returns them
--   old_row, new_row        the rows
create or replace function pgq.tg_changes(
    compared integer[], numerics integer[], loose integer[], names text[], old_values text[],
    new_values text[], old_row record, new_row record)
returns integer[]
language plpgsql stable
as $$
declare
    changes integer[] := '{}';
    equal boolean;
    i integer;
begin
    foreach i in array compared loop
        continue when coalesce(
            old_values[i] operator(pg_catalog.=) new_values[i] collate pg_catalog."C",
            old_values[i] is null and new_values[i] is null);
        equal := false;
        if old_values[i] is null or new_values[i] is null then
            -- A null equals no value.
        elsif i operator(pg_catalog.=) any (numerics) then
            equal := old_values[i]::numeric operator(pg_catalog.=) new_values[i]::numeric;
        elsif i operator(pg_catalog.=) any (loose) then
            execute pg_catalog.format(
                'select pg_catalog.record_eq(row(($1).%1$I), row(($2).%1$I))', names[i])
            into equal using old_row, new_row;
        end if;
        if not equal then
            changes := pg_catalog.array_append(changes, i);
        end if;
    end loop;
    return changes;
end
$$;
