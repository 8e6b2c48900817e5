-- Returns the table into which a queue's events go, for inserting there directly, within this transaction
-- only. Fails when there is no such queue, or inserting into it is disabled.
create or replace function pgq.current_event_table(x_queue_name text)
returns text
language plpgsql
as $$
declare
    que record;
begin
    -- The transaction gets its id before it looks, so that the id is older than the next rotation's.
    if not pg_catalog.pg_is_in_recovery() then
        perform pg_catalog.txid_current();
    end if;
    select queue_data_pfx, queue_cur_table, queue_ntables, queue_disable_insert into que
    from pgq.queue where queue_name = x_queue_name;
    if not found then
        raise exception 'Event queue not found';
    end if;
    if que.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'Writing to queue disabled';
    end if;
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
        and exists (
            select from pg_catalog.pg_class next
            where next.oid = pg_catalog.to_regclass(pgq.quote_fqname(que.queue_data_pfx || '_'
                || (que.queue_cur_table + 1) % que.queue_ntables))
              and next.relfilenode <> pg_catalog.pg_relation_filenode(next.oid))
    then
        raise exception 'could not serialize access due to rotation of queue "%"', x_queue_name
            using errcode = 'serialization_failure';
    end if;
    return que.queue_data_pfx || '_' || que.queue_cur_table;
end
$$;
