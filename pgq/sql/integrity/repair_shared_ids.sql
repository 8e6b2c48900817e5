-- Gives each consumer that shares the id of another consumer an id of its own. A consumer and its subconsumers, whose
-- names begin with the consumer's name, are a team and keep one id. The team that was registered first keeps the shared
-- id.
--
-- The owner of a retry event or a failed event cannot be determined, so both teams get a copy. Teams on
-- different queues keep only the retry events of their own queue.
do $$
declare
    team record;
    fresh pg_catalog.int4;
    tab pg_catalog.text;
begin
    for team in
        with known as (
            select s.sub_id, s.sub_queue, s.sub_consumer, c.co_name,
                   pg_catalog.num_nulls(s.sub_last_tick, s.sub_next_tick) = 1 as is_alone
            from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer
        ), doubled as (
            select k.*, coalesce(main.co_name, k.co_name) as main
            from known k
            left join lateral (
                select m.co_name from known m
                where m.sub_id = k.sub_id and m.sub_queue = k.sub_queue and not k.is_alone
                  and pg_catalog.starts_with(k.co_name, m.co_name || '.'::pg_catalog.text)
                order by pg_catalog.length(m.co_name) limit 1) main on true
            where k.sub_id in (select sub_id from known group by sub_id having pg_catalog.count(*) > 1)
        ), keeper as (
            select distinct on (sub_id) sub_id, sub_queue, main from doubled
            where co_name = main order by sub_id, sub_consumer, sub_queue
        )
        select d.sub_id, d.sub_queue, pg_catalog.array_agg(d.sub_consumer) as members, q.queue_data_pfx as prefix,
               q.queue_ntables as parts, k.sub_queue <> d.sub_queue as elsewhere
        from doubled d
        join keeper k on k.sub_id = d.sub_id
        join pgq.queue q on q.queue_id = d.sub_queue
        where d.sub_queue <> k.sub_queue or d.main <> k.main
        group by d.sub_id, d.sub_queue, d.main, q.queue_data_pfx, q.queue_ntables, k.sub_queue
    loop
        fresh := pg_catalog.nextval('pgq.subscription_sub_id_seq'::pg_catalog.regclass);
        insert into pgq.retry_queue
        select (pg_catalog.jsonb_populate_record(r, pg_catalog.jsonb_build_object('ev_owner', fresh))).*
        from pgq.retry_queue r where r.ev_owner = team.sub_id and r.ev_queue = team.sub_queue;
        if team.elsewhere then
            delete from pgq.retry_queue r where r.ev_owner = team.sub_id and r.ev_queue = team.sub_queue;
        end if;
        for tab in
            select 'pgq.failed_queue' where pg_catalog.to_regclass('pgq.failed_queue') is not null
            union all
            select pgq.quote_fqname(team.prefix || '_'::pg_catalog.text || part::pg_catalog.text)
            from pg_catalog.generate_series(0, team.parts - 1) part
        loop
            execute pg_catalog.format(
                'insert into %s select (pg_catalog.jsonb_populate_record('
                'e, pg_catalog.jsonb_build_object(''ev_owner'', $1))).* from %s e where e.ev_owner = $2', tab, tab)
            using fresh, team.sub_id;
        end loop;
        update pgq.subscription set sub_id = fresh
        where sub_queue = team.sub_queue and sub_consumer = any (team.members);
    end loop;
end
$$;
