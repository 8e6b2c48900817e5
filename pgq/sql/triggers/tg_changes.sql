-- Returns the positions of those columns that an update changes, among the positions given.
--
--   facts                   about the table
--   compared                positions of the columns to compare
--   old_values, new_values  the rows' values, as tg_values() returns them
--   old_row, new_row        the rows
create or replace function pgq.tg_changes(
    facts pgq.tg_facts, compared integer[], old_values text[], new_values text[], old_row record, new_row record)
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
        -- One of the two may be null, which equals no value.
        if i operator(pg_catalog.=) any (facts.numerics) then
            continue when old_values[i]::numeric operator(pg_catalog.=) new_values[i]::numeric;
        elsif i operator(pg_catalog.=) any (facts.loose) then
            execute pg_catalog.format(
                'select pg_catalog.record_eq(row(($1).%1$I), row(($2).%1$I))', facts.names[i])
            into equal using old_row, new_row;
            continue when equal;
        end if;
        changes := pg_catalog.array_append(changes, i);
    end loop;
    return changes;
end
$$;
