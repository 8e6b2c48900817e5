-- Returns the maintenance operations that are due: those of pgq.maint_operations, without the vacuum of tables, which needs a
-- session without a transaction, and the turns of the tables of keys. Internal.
create or replace function pgq._maintenance_operations()
returns table (func_name text, func_arg text)
language plpgsql set search_path = pg_catalog, pg_temp set row_security = off
as $$
declare
    -- The extension's list reads views of these schemas.
    source constant text := case
        when exists (
            select from pg_namespace n
            where n.nspname in ('pgq_node', 'londiste')
              and not pg_has_role(n.nspowner, pgq._maintenance_role(), 'usage'))
        then 'select ''pgq.maint_rotate_tables_step1'', queue_name from pgq.queue'
             ' where queue_switch_step2 is not null and now() > queue_switch_time + queue_rotation_period'
             ' union all select ''pgq.maint_rotate_tables_step2'', null'
             ' union all select name, queue_name from pgq.queue cross join unnest(queue_extra_maint) name'
        else 'select * from pgq.maint_operations()' end;
begin
    for func_name, func_arg in execute source loop
        continue when lower(func_name) = 'vacuum';
        -- Such a consumer seems to have read every table.
        continue when func_name = 'pgq.maint_rotate_tables_step1' and exists (
            select from pgq.queue
            join pgq.subscription on sub_queue = queue_id
            join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick
            where queue_name = func_arg
              and txid_snapshot_xmax(tick_snapshot) > txid_snapshot_xmax(txid_current_snapshot()));
        return next;
    end loop;
    func_name := 'pgq.maint_event_keys';
    func_arg := null;
    return next;
end
$$;
