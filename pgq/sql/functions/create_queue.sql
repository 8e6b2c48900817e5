-- Creates a queue with its tables and sequences, and makes its first tick. Returns 1, or 0 when the queue
-- exists already.
create or replace function pgq.create_queue(i_queue_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    id bigint;
begin
    if i_queue_name is null then
        raise exception 'Invalid NULL value';
    elsif exists (select from pgq.queue q where q.queue_name = i_queue_name) then
        return 0;
    end if;
    -- A dump without data leaves tables without queues, and a sequence that begins anew.
    loop
        id := nextval('pgq.queue_queue_id_seq');
        -- An id in use is an error and is not skipped, since the sequence is behind, and other sequences may be behind too.
        exit when exists (select from pgq.queue q where q.queue_id = id)
            or not exists (
                select from pg_class c
                where c.relnamespace = 'pgq'::regnamespace
                  and c.relname = any (array['event_' || id, format('event_%s_id_seq', id),
                          format('event_%s_tick_seq', id), format('event_%s_0', id), format('event_%s_1', id),
                          format('event_%s_2', id)]));
    end loop;
    insert into pgq.queue (queue_id, queue_name, queue_data_pfx, queue_event_seq, queue_tick_seq)
    values (id, i_queue_name, 'pgq.event_' || id, format('pgq.event_%s_id_seq', id),
            format('pgq.event_%s_tick_seq', id))
    on conflict (queue_name) do nothing;
    if not found then
        return 0;
    end if;
    perform pgq._create_tables(i_queue_name), pgq.tune_storage(i_queue_name), pgq._queue_rights(i_queue_name);
    perform pgq.ticker(i_queue_name);
    return 1;
end
$$;
