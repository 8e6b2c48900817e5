-- Creates a queue with its tables and sequences, and makes its first tick. Returns 1, or 0 when the queue
-- exists.
create or replace function pgq.create_queue(i_queue_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    id integer;
    prefix text;
    tables integer;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value';
    end if;
    if exists (select from pgq.queue where queue_name = i_queue_name) then
        return 0;
    end if;
    id := nextval('pgq.queue_queue_id_seq');
    prefix := 'pgq.event_' || id;
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values (id, i_queue_name, prefix, prefix || '_id_seq', prefix || '_tick_seq')
    returning queue_ntables into tables;
    execute format('create sequence %s_id_seq', prefix);
    execute format('create sequence %s_tick_seq', prefix);
    execute format('create table %s () inherits (pgq.event_template)', prefix);
    for part in 0 .. tables - 1 loop
        execute format('create table %s_%s () inherits (%1$s)', prefix, part);
        execute format('alter table %s_%s alter column ev_id set default nextval(%L)',
                       prefix, part, prefix || '_id_seq');
        execute format('create index event_%s_%s_txid_idx on %s_%2$s (ev_txid)', id, part, prefix);
    end loop;
    perform pgq.grant_perms(i_queue_name);
    perform pgq.ticker(i_queue_name);
    perform pgq.tune_storage(i_queue_name);
    return 1;
end
$$;
