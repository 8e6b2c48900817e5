-- Returns the functions that maintenance is to call, each in a transaction of its own, with the argument if
-- there is one: rotation, the queues' own functions, what `pgq_node` and `londiste` bring along, and tables
-- to `vacuum`. One that returns 1 wants to be called again at once.
create or replace function pgq.maint_operations(out func_name text, out func_arg text)
returns setof record
language plpgsql
as $$
declare
    rotation_due boolean := false;
begin
    func_name := 'pgq.maint_rotate_tables_step1';
    for func_arg in
        select queue_name from pgq.queue
        where queue_switch_step2 is not null and queue_switch_time + queue_rotation_period < now()
        order by queue_name
    loop
        rotation_due := true;
        return next;
    end loop;

    func_arg := null;
    if rotation_due or exists (select from pgq.queue where queue_switch_step2 is null) then
        func_name := 'pgq.maint_rotate_tables_step2';
        return next;
    end if;

    return query
        select extra.name, queue_name from pgq.queue
        cross join unnest(queue_extra_maint) with ordinality as extra (name, place)
        order by queue_name, extra.place;

    func_name := 'pgq_node.maint_watermark';
    if to_regprocedure('pgq_node.maint_watermark(text)') is not null then
        for func_arg in
            execute 'select n.queue_name from pgq_node.node_info n where n.node_type = ''root'''
        loop
            return next;
        end loop;
    end if;
    func_name := 'londiste.root_check_seqs';
    if to_regprocedure('londiste.root_check_seqs(text)') is not null then
        for func_arg in
            execute 'select n.queue_name from pgq_node.node_info n where n.node_type = ''root'''
                ' and n.queue_name in (select s.queue_name from londiste.seq_info s where s.local) order by 1'
        loop
            return next;
        end loop;
    end if;
    func_arg := null;
    func_name := 'londiste.periodic_maintenance';
    if to_regprocedure('londiste.periodic_maintenance()') is not null then
        return next;
    end if;

    return query select 'vacuum', name from pgq.maint_tables_to_vacuum() name;
end
$$;
