-- Returns an event's fields `{type, data, extra1, extra2, extra3, extra4}` after magic columns and the
-- trigger's expressions are applied, or null if `when` is false. Fails when the name of a column begins like that of a
-- magic column but is none.
--
--   facts       about the trigger
--   event       the fields so far
--   subject     the row: the new one, or the one that is deleted
create or replace function pgq.tg_customize(facts pgq.tg_facts, event text[], subject record)
returns text[]
language plpgsql
as $$
declare
    row_values pg_catalog.text[];
    wanted boolean := true;
    result pg_catalog.text;
begin
    if facts.bad_magic is not null then
        raise exception 'Unknown magic column: %', facts.bad_magic using errcode = 'internal_error';
    end if;
    if facts.magic is not null then
        row_values := pgq.tg_values(subject::pg_catalog.text, facts.columns);
        for i in 1 .. 6 loop
            if facts.magic[i] is not null then
                event[i] := row_values[facts.magic[i]];
            end if;
        end loop;
    end if;
    -- The first of two expressions for one field wins.
    for i in reverse coalesce(pg_catalog.cardinality(facts.fields), 0) .. 1 loop
        result := pgq.tg_evaluate(facts.queries[i], subject);
        if facts.fields[i] operator(pg_catalog.>) 0 then
            event[facts.fields[i]] := result;
        elsif facts.query_types[i] operator(pg_catalog.<>) 16 then
            raise exception 'when= query result must be boolean, got=%', facts.query_types[i]
                using errcode = 'internal_error';
        elsif result is null then
            raise exception 'when= should not be NULL' using errcode = 'internal_error';
        elsif result operator(pg_catalog.<>) 't' and result operator(pg_catalog.<>) 'f' then
            -- A function in the expression was replaced by one of another type.
            raise exception 'when= query result must be boolean, got %', result
                using errcode = 'internal_error';
        else
            wanted := result operator(pg_catalog.=) 't';
        end if;
    end loop;
    if wanted then
        return event;
    end if;
    return null;
end
$$;
