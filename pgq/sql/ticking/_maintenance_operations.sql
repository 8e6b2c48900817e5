-- Returns the maintenance operations that are due, as pgq.maint_operations does, without the vacuum of tables, which needs
-- a session without a transaction. `obstacle` says why an operation must not run. Internal.
--
-- An operation runs with the rights of the current role, so the function and its schema must belong to this role, to a
-- superuser, or to a role that has this role's rights. A role that may use queues can write a function's name into
-- `queue_extra_maint`.
create or replace function pgq._maintenance_operations()
returns table (func_name text, func_arg text, obstacle text)
language plpgsql set search_path = pg_catalog, pg_temp set row_security = off
as $$
declare
    -- A superuser whose role the database sets counts as a superuser: any code could reset the role.
    me constant oid := (
        select r.oid from pg_roles r
        where r.rolname = case
            when (select rolsuper from pg_roles where rolname = session_user)
                and exists (
                    select from pg_db_role_setting s cross join unnest(s.setconfig) given
                    where s.setrole = 0 and starts_with(given, 'role=')
                      and s.setdatabase = (select d.oid from pg_database d where d.datname = current_database()))
            then session_user else current_user end);
    -- The extension's list reads views of these schemas.
    source constant text := case
        when exists (
            select from pg_namespace n
            where n.nspname in ('pgq_node', 'londiste') and not pg_has_role(n.nspowner, me, 'usage'))
        then 'select ''pgq.maint_rotate_tables_step1'', queue_name from pgq.queue'
             ' where queue_switch_step2 is not null and now() > queue_switch_time + queue_rotation_period'
             ' union all select ''pgq.maint_rotate_tables_step2'', null'
             ' union all select name, queue_name from pgq.queue cross join unnest(queue_extra_maint) name'
        else 'select * from pgq.maint_operations()' end;
    owner text;
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
        owner := (
            select concat(owned.what, ' belongs to role ', owned.owner::regrole)
            from pg_namespace n
            cross join lateral (
                select concat('function ', p.oid::regprocedure), p.proowner from pg_proc p
                where p.pronamespace = n.oid and p.proname = substr(func_name, strpos(func_name, '.') + 1)
                union all
                select concat('schema ', n.nspname), coalesce((
                    select d.datdba from pg_database d
                    where d.datname = current_database()
                      and n.nspowner = to_regrole('pg_database_owner')::oid), n.nspowner)) owned (what, owner)
            where n.nspname = case when strpos(func_name, '.') = 0 then 'public' else split_part(func_name, '.', 1) end
              and not starts_with(func_name, 'pgq.maint_') and not pg_has_role(owned.owner, me, 'usage')
            limit 1);
        obstacle := format('maintenance `%s` of `%s` is skipped: %s, whose code would run with the rights of this role',
                           func_name, func_arg, owner);
        if owner is null then
            obstacle := null;
        end if;
        return next;
    end loop;
end
$$;
