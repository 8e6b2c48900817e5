-- Creates a queue with its tables and sequences, and makes its first tick. Returns 1, or 0 when the queue
-- exists.
create or replace function pgq.create_queue(i_queue_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value';
    end if;
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    select id, i_queue_name, 'pgq.event_' || id, format('pgq.event_%s_id_seq', id),
           format('pgq.event_%s_tick_seq', id)
    from nextval('pgq.queue_queue_id_seq') id
    where not exists (select from pgq.queue q where q.queue_name = i_queue_name)
    on conflict (queue_name) do nothing
    returning * into que;
    if que.queue_id is null then
        return 0;
    end if;
    perform pgq._ddl(format('create sequence %s', que.queue_event_seq));
    perform pgq._ddl(format('create sequence %s', que.queue_tick_seq));
    perform pgq._ddl(format('create table %s () inherits (pgq.event_template)', que.queue_data_pfx));
    for part in 0 .. que.queue_ntables - 1 loop
        perform pgq._ddl(format('create table %s_%s () inherits (%1$s)', que.queue_data_pfx, part));
        perform pgq._ddl(format('alter table %s_%s alter column ev_id set default nextval(%L)',
                       que.queue_data_pfx, part, que.queue_event_seq));
        perform pgq._ddl(format('create index event_%s_%s_txid_idx on %s_%2$s (ev_txid)',
                       que.queue_id, part, que.queue_data_pfx));
    end loop;
    perform pgq.tune_storage(i_queue_name), pgq.grant_perms(i_queue_name), pgq.ticker(i_queue_name);
    return 1;
end
$$;
