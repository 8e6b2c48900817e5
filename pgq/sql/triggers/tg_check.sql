-- Fails when the trigger may not be fired as it is.
--
--   facts       about the trigger
--   operation   INSERT, UPDATE, DELETE or TRUNCATE
--   moment      BEFORE, AFTER or INSTEAD OF
--   relation    the table's full name
--   queue       the queue's name
create or replace function pgq.tg_check(
    facts pgq.tg_facts, operation text, moment text, relation text, queue text)
returns void
language plpgsql stable
as $$
declare
    problem pg_catalog.text;
begin
    if operation operator(pg_catalog.=) 'TRUNCATE' then
        problem := case
            when facts.queries is not null then 'Custom expressions do not make sense for truncater trigger'
            when facts.ignores then 'Column ignore does not make sense for truncate trigger'
            when facts.custom_keys then 'Custom pkey_list does not make sense for truncate trigger'
            when facts.backup then 'Backup does not make sense for truncate trigger'
            end;
    end if;
    problem := coalesce(problem, case
        when facts.keyless and operation operator(pg_catalog.=) any ('{UPDATE,DELETE}')
            then 'Update/Delete on table without pkey'
        when facts.skip and moment operator(pg_catalog.=) 'AFTER' then 'SKIP does not work in AFTER trigger.'
        when facts.deny then pg_catalog.format(
            $m$Table '%s' to queue '%s': change not allowed (%s)$m$, relation, queue, operation)
        end);
    if problem is not null then
        raise exception '%', problem using errcode = 'internal_error';
    end if;
end
$$;
