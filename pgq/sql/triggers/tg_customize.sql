-- Returns an event's fields `{type, data, extra1, extra2, extra3, extra4}` after magic columns and expressions of
-- the trigger have had their say; null when `when` is false.
--
--   event       the fields so far
--   magic       for each field the position of the column that sets it, or null
--   columns     how many columns the row has
--   row_text    the row as text
--   fields      for each expression the number of the field, 0 for `when`
--   queries     for each expression the statement, null when it is empty
--   types       for each expression its type, or null where it is unknown
--   subject     the row: the new one, or the one that is deleted
create or replace function pgq.tg_customize(
    event text[], magic integer[], columns integer, row_text text, fields integer[], queries text[], types oid[],
    subject record)
returns text[]
language plpgsql
as $$
declare
    row_values text[];
    wanted boolean := true;
    result text;
begin
    if magic is not null then
        row_values := pgq.tg_values(row_text, columns);
        for i in 1 .. 6 loop
            if magic[i] is not null then
                event[i] := row_values[magic[i]];
            end if;
        end loop;
    end if;
    -- The first of two expressions for one field wins.
    for i in reverse coalesce(pg_catalog.cardinality(fields), 0) .. 1 loop
        result := pgq.tg_evaluate(queries[i], subject);
        if fields[i] > 0 then
            event[fields[i]] := result;
        elsif types[i] <> 16 then
            raise exception 'when= query result must be boolean, got=%', types[i] using errcode = 'internal_error';
        elsif result is null then
            raise exception 'when= should not be NULL' using errcode = 'internal_error';
        else
            wanted := result = 't';
        end if;
    end loop;
    if wanted then
        return event;
    end if;
    return null;
end
$$;
