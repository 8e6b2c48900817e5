-- Sets the fill factor of a queue's tables to 100 % and disables autovacuum for them, since rows are only
-- added and then truncated together. Returns 1, or 0 when the queue does not exist.
create or replace function pgq.tune_storage(i_queue_name text)
returns integer
language plpgsql strict set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    part record;
begin
    for part in
        select t.name, c.reltoastrelid <> 0 as toasted
        from pgq.queue q
        cross join generate_series(0, q.queue_ntables - 1) n
        cross join lateral pgq.quote_fqname(q.queue_data_pfx || '_' || n) t (name)
        left join pg_class c on c.oid = to_regclass(t.name)
        where q.queue_name = i_queue_name
    loop
        perform pgq._ddl(format('alter table %s set (fillfactor = 100, autovacuum_enabled = off%s)', part.name,
                       case when part.toasted then ', toast.autovacuum_enabled = off' end));
    end loop;
    return found::integer;
end
$$;
