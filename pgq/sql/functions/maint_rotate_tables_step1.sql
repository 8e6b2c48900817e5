-- Begins to rotate a queue's tables if a rotation is due: truncates the oldest table, which receives new events from
-- then on. Does nothing while the previous rotation is not finished, a consumer may need the oldest table, or another
-- session uses it. Returns 0. Fails when a consumer's tick is missing, or has transaction ids that this server has not
-- reached, as in a database that was moved: the consumer would seem to be past every rotation.
create or replace function pgq.maint_rotate_tables_step1(i_queue_name text)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    que pgq.queue;
    position bigint;
    oldest_running bigint;
    next_table text;
begin
    select q.* into que from pgq.queue q
    where q.queue_name = i_queue_name and q.queue_switch_step2 is not null
      and now() > q.queue_switch_time + q.queue_rotation_period
    for update;
    if que.queue_id is null then
        return 0;
    end if;

    if exists (
        select from pgq._positions(que.queue_id) s
        join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
        where pg_catalog.txid_snapshot_xmax(t.tick_snapshot)
              > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()))
    then
        raise exception 'queue % maint failure: a consumer is at transaction ids that the server has not reached',
            i_queue_name
            using errcode = 'data_corrupted',
                  hint = 'The database was moved here; run "pgqadm CONFIG.ini repair".';
    end if;
    -- All transactions below `queue_switch_step2` must have ended before the tick of the consumer that is farthest
    -- behind (DESIGN.md, D46); and before now, for a consumer that registers later.
    position := min(s.sub_last_tick) from pgq._positions(que.queue_id) s;
    oldest_running := case
        when position is null then txid_snapshot_xmin(txid_current_snapshot())
        else (select txid_snapshot_xmin(t.tick_snapshot) from pgq.tick t
              where t.tick_queue = que.queue_id and t.tick_id = position)
        end;
    if oldest_running is null then
        raise exception 'queue % maint failure: tick % not found', i_queue_name, position;
    end if;
    if oldest_running <= que.queue_switch_step2 then
        return 0;
    end if;

    que.queue_cur_table := (que.queue_cur_table + 1) % que.queue_ntables;
    next_table := que.queue_data_pfx || '_' || que.queue_cur_table;
    begin
        execute format('lock table %s in access exclusive mode nowait', next_table);
    exception when lock_not_available then
        return 0;
    end;
    execute format('truncate %s', next_table);
    update pgq.queue q
    set queue_switch_step1 = txid_current(), queue_switch_step2 = null,
        queue_switch_time = now(), queue_cur_table = que.queue_cur_table
    where q.queue_id = que.queue_id;
    delete from pgq.tick t
    where t.tick_queue = que.queue_id and txid_snapshot_xmin(t.tick_snapshot) < que.queue_switch_step2;
    return 0;
end
$$;
