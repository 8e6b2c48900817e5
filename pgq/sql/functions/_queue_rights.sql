-- Gives a queue's tables and sequences their rights, independent of default privileges. Returns
-- the number of changed rights. Fails when the queue does not exist.
create or replace function pgq._queue_rights(x_queue_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    changed integer := 0;
begin
    if exists (select from pg_default_acl) then
        changed := (
            select coalesce(sum(pgq._plain_rights('pgq', '^' || split_part(q.queue_data_pfx, '.', 2) || '(_|$)')), 0)
            from pgq.queue q
            where q.queue_name = x_queue_name and q.queue_data_pfx ~ '^pgq[.]event_[0-9]+$');
    end if;
    perform pgq._ddl(format('select pgq.grant_perms(%L)', x_queue_name));
    return changed;
end
$$;

revoke all on function pgq._queue_rights(text) from public;
do $$
begin
    if pg_catalog.to_regrole('pgq_admin') is not null then
        grant execute on function pgq._queue_rights(text) to pgq_admin;
    end if;
end
$$;
