-- Returns the tables that must be vacuumed often, if autovacuum is off.
create or replace function pgq.maint_tables_to_vacuum()
returns setof text
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select name from unnest(array[
            'pgq.subscription', 'pgq.registration', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue', 'pgq.retry_mark',
            'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event',
            'pgq_ext.partial_batch']) with ordinality as tables (name, place)
        where current_setting('autovacuum') <> 'on' and to_regclass(name) is not null
        order by place;
end
$$;
