-- Creates the tables and sequences of queues that a dump has omitted.
do $$
declare
    incomplete pg_catalog.text;
begin
    for incomplete in
        select q.queue_name from pgq.queue q
        where q.queue_data_pfx ~ '^pgq[.]' and exists (
            select from (
                select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx
                union all
                select q.queue_data_pfx || '_' || part from pg_catalog.generate_series(0, q.queue_ntables - 1) part
            ) named (name)
            where pg_catalog.to_regclass(pgq.quote_fqname(named.name)) is null)
    loop
        perform pgq._create_tables(incomplete), pgq.tune_storage(incomplete), pgq._queue_rights(incomplete);
    end loop;
end
$$;
