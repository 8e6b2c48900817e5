-- Adds the indexes and triggers of the tables whose rows get a new version with each batch, and drops the primary keys of an
-- earlier release, whose look-ups visit all versions that an old snapshot keeps (DESIGN.md, D127).
--
-- Locks only tables that are not up to date, in the order in which consumers lock them.
do $$
declare
    tab record;
begin
    for tab in
        select named.*, cls.oid, cls.relreplident, key.conname
        from (values
            (1, 'completed_tick', 'consumer_id, subconsumer_id', 'last_tick_id'),
            (2, 'completed_batch', 'consumer_id, subconsumer_id', 'last_batch_id'),
            (3, 'checkpoint', 'consumer_id, subconsumer_id, kind', 'number'),
            (4, 'partial_batch', 'consumer_id, subconsumer_id', 'cur_batch_id'),
            (5, 'completed_range', 'consumer_id', 'last_tick_id'),
            (6, 'claimed_batch', 'queue_name, consumer_id', 'opened_at')) named (place, name, key, newest)
        join pg_catalog.pg_class cls on cls.oid = ('pgq_ext.' || named.name)::pg_catalog.regclass
        left join pg_catalog.pg_constraint key on key.conrelid = cls.oid and key.contype = 'p'
        order by named.place
    loop
        if tab.conname is not null then
            execute pg_catalog.format('alter table pgq_ext.%I drop constraint %I', tab.name, tab.conname);
        end if;
        -- Without a primary key, a publication of all tables would refuse the updates.
        if tab.relreplident <> 'f' then
            execute pg_catalog.format('alter table pgq_ext.%I replica identity full', tab.name);
        end if;
        -- The newest version of a row comes first, so that a query with `limit 1` visits no other.
        if pg_catalog.to_regclass('pgq_ext.' || tab.name || '_newest_idx') is null then
            execute pg_catalog.format('create index %I on pgq_ext.%I (%s, %I desc)',
                                      tab.name || '_newest_idx', tab.name, tab.key, tab.newest);
        end if;
        if not exists (select from pg_catalog.pg_trigger where tgrelid = tab.oid and tgname = 'unique_key') then
            execute pg_catalog.format(
                'create trigger unique_key after insert or update of %s on pgq_ext.%I '
                'for each row execute function pgq_ext._unique_key(%1$s)', tab.key, tab.name);
        end if;
    end loop;
    -- Finds a batch of any subconsumer. With an index on the columns, the planner could choose either index for either query.
    if pg_catalog.to_regclass('pgq_ext.completed_batch_number_idx') is null then
        create index completed_batch_number_idx on pgq_ext.completed_batch
            ((last_batch_id::pg_catalog.text || ' '::pg_catalog.text || consumer_id));
    end if;
end
$$;
