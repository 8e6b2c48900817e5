-- Makes a queue's tables as dense as they can be and keeps autovacuum away from them, since rows are only
-- added and then truncated together. Returns 1, or 0 when there is no such queue.
create or replace function pgq.tune_storage(i_queue_name text)
returns integer
language plpgsql strict
as $$
declare
    que pgq.queue;
    part_name text;
    toasted boolean;
begin
    select * into que from pgq.queue where queue_name = i_queue_name;
    if not found then
        return 0;
    end if;
    for part in 0 .. que.queue_ntables - 1 loop
        part_name := pgq.quote_fqname(que.queue_data_pfx || '_' || part);
        toasted := reltoastrelid <> 0 from pg_class where oid = to_regclass(part_name);
        execute format('alter table %s set (fillfactor = 100, autovacuum_enabled = off%s)', part_name,
                       case when toasted then ', toast.autovacuum_enabled = off' else '' end);
    end loop;
    return 1;
end
$$;
