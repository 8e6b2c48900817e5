-- Returns the functions that maintenance must call, each in a transaction of its own, with the argument if there is one:
-- rotation, the queues' own functions, the functions of `pgq_node` and `londiste`, and tables to `vacuum`. Maintenance
-- calls a function that returns 1 again at once.
create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    -- Only schemas whose owners have the rights of this schema's owner. Maintenance must not run functions of other roles
    -- with its rights.
    trusted constant name[] := array(
        select other.nspname from pg_namespace own, pg_namespace other
        where own.nspname = 'pgq' and pg_has_role(other.nspowner, own.nspowner, 'member'));
begin
    return query
        select 'pgq.maint_rotate_tables_step1', q.queue_name from pgq.queue q
        where q.queue_switch_step2 is not null and now() > q.queue_switch_time + q.queue_rotation_period
        order by q.queue_name;
    if found or exists (select from pgq.queue q where q.queue_switch_step2 is null) then
        return query values ('pgq.maint_rotate_tables_step2', null);
    end if;

    -- A file that is large without dead rows.
    return query
        select 'pgq._shrink_positions', null from pg_class
        where oid = 'pgq.subscription'::regclass and pg_stat_get_dead_tuples(oid) <= 1000
          and pg_total_relation_size(oid) > 1000000 + 10000 * greatest(reltuples, 0);

    return query
        select extra.name, q.queue_name from pgq.queue q
        cross join unnest(q.queue_extra_maint) with ordinality extra (name, place)
        order by q.queue_name, extra.place;

    if 'pgq_node' = any (trusted) and to_regprocedure('pgq_node.maint_watermark(text)') is not null then
        return query execute
            'select ''pgq_node.maint_watermark'', n.queue_name from pgq_node.node_info n'
            ' where n.node_type = ''root''';
    end if;
    if trusted @> '{pgq_node,londiste}' and to_regprocedure('londiste.root_check_seqs(text)') is not null then
        return query execute
            'select ''londiste.root_check_seqs'', n.queue_name from pgq_node.node_info n'
            ' where n.node_type = ''root'''
            ' and n.queue_name in (select s.queue_name from londiste.seq_info s where s.local) order by 2';
    end if;
    if 'londiste' = any (trusted) and to_regprocedure('londiste.periodic_maintenance()') is not null then
        return query values ('londiste.periodic_maintenance', null);
    end if;

    return query select 'vacuum', t.name from pgq.maint_tables_to_vacuum() t (name);
end
$$;
