-- Begins to rotate a queue's tables if that is due: the oldest table is emptied and takes the events from now
-- on. Nothing happens as long as the rotation before is not finished, a consumer may need the oldest table,
-- or somebody uses it. Returns 0. Fails when a consumer's tick is missing.
create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer
language plpgsql
as $$
declare
    que pgq.queue;
    position bigint;
    oldest_running bigint;
    next_table integer;
begin
    select * into que from pgq.queue
    where queue_name = i_queue_name
      and queue_switch_step2 is not null
      and queue_switch_time + queue_rotation_period < now()
    for update;
    if not found then
        return 0;
    end if;

    -- Who inserts into the table before the current one began before `queue_switch_step2`. All of those must
    -- have ended before the tick at which the consumer that is farthest behind stands; and before now, for
    -- the sake of a consumer that registers later.
    select min(sub_last_tick) into position from pgq.subscription where sub_queue = que.queue_id;
    if position is null then
        oldest_running := txid_snapshot_xmin(txid_current_snapshot());
    else
        select txid_snapshot_xmin(tick_snapshot) into oldest_running from pgq.tick
        where tick_queue = que.queue_id and tick_id = position;
        if not found then
            raise exception 'queue % maint failure: tick % not found', i_queue_name, position;
        end if;
    end if;
    if oldest_running <= que.queue_switch_step2 then
        return 0;
    end if;

    next_table := (que.queue_cur_table + 1) % que.queue_ntables;
    begin
        execute format('lock table %s_%s in access exclusive mode nowait', que.queue_data_pfx, next_table);
    exception
        when lock_not_available then
            return 0;
    end;
    execute format('truncate %s_%s', que.queue_data_pfx, next_table);
    update pgq.queue
    set queue_cur_table = next_table, queue_switch_time = now(), queue_switch_step1 = txid_current(),
        queue_switch_step2 = null
    where queue_id = que.queue_id;
    delete from pgq.tick
    where tick_queue = que.queue_id and txid_snapshot_xmin(tick_snapshot) < que.queue_switch_step2;
    return 0;
end
$$;
