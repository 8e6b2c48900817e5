-- Creates the missing tables and sequences of a queue: all of a new queue, and those that a dump of an old queue
-- has omitted. Created sequences continue behind the queue's ticks. Returns the number that it created.
--
-- The sequence of event ids begins at 0, so that the first event, with id 1, counts as new (DESIGN.md, D146).
create or replace function pgq._create_tables(x_queue_name text)
returns integer
language plpgsql set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
    missing record;
    created integer := 0;
begin
    select q.* into que from pgq.queue q where q.queue_name = x_queue_name;
    for missing in
        select pgq.quote_fqname(s.name) as name, s.options, s.reached
        from (
            select que.queue_event_seq, 'minvalue 0 start 1',
                   coalesce((select max(t.tick_event_seq) from pgq.tick t where t.tick_queue = que.queue_id), 0)
            union all
            select que.queue_tick_seq, '', (select max(t.tick_id) from pgq.tick t where t.tick_queue = que.queue_id)
        ) s (name, options, reached)
        where to_regclass(pgq.quote_fqname(s.name)) is null
    loop
        perform pgq._ddl(format('create sequence %s %s', missing.name, missing.options));
        perform setval(missing.name::regclass, missing.reached) where missing.reached is not null;
        created := created + 1;
    end loop;
    if to_regclass(pgq.quote_fqname(que.queue_data_pfx)) is null then
        perform pgq._ddl(format('create table %s () inherits (pgq.event_template)', pgq.quote_fqname(que.queue_data_pfx)));
        created := created + 1;
    end if;
    for missing in
        select pgq.quote_fqname(que.queue_data_pfx || '_' || n) as name, n as part
        from generate_series(0, que.queue_ntables - 1) n
        where to_regclass(pgq.quote_fqname(que.queue_data_pfx || '_' || n)) is null
    loop
        perform pgq._ddl(format('create table %s () inherits (%s)', missing.name, pgq.quote_fqname(que.queue_data_pfx)));
        perform pgq._ddl(format('alter table %s alter column ev_id set default pg_catalog.nextval(%L::pg_catalog.regclass)', missing.name,
                       pgq.quote_fqname(que.queue_event_seq)));
        perform pgq._ddl(format('create index %I on %s (ev_txid)',
                       format('event_%s_%s_txid_idx', que.queue_id, missing.part), missing.name));
        created := created + 1;
    end loop;
    return created;
end
$$;
