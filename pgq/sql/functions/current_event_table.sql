-- Returns the table into which a queue's events go, for inserting there directly, within this transaction
-- only. Fails when the queue does not exist, inserting into it is disabled, or the transaction's snapshot is
-- older than a rotation.
create or replace function pgq.current_event_table(x_queue_name text)
returns text
language plpgsql set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que record;
    obstacle text;
begin
    -- The transaction gets its id before it reads the current table, as a rotation expects (DESIGN.md, D45).
    if not pg_is_in_recovery() then
        perform txid_current();
    end if;
    select q.queue_data_pfx || '_' || q.queue_cur_table as table_name,
           q.queue_data_pfx || '_' || (q.queue_cur_table + 1) % q.queue_ntables as next_name,
           q.queue_disable_insert and current_setting('session_replication_role') <> 'replica' as closed
    into que
    from pgq.queue q where q.queue_name = x_queue_name;
    obstacle := case
        when que.table_name is null then 'Event queue not found'
        when que.closed then 'Writing to queue disabled'
        end;
    if obstacle is not null then
        raise exception '%', obstacle;
    end if;
    -- Detects a rotation that the transaction's snapshot does not see. Reading the size locks the table, so the session
    -- has the present file (DESIGN.md, D47).
    if pg_catalog.current_setting('transaction_isolation') in ('repeatable read', 'serializable')
        and exists (
            select from pg_catalog.pg_class
            where oid = pg_catalog.to_regclass(que.next_name)::pg_catalog.oid
              and case
                      when pg_catalog.pg_relation_size(oid::pg_catalog.regclass, 'main') >= 0
                      then relfilenode <> pg_catalog.pg_relation_filenode(oid::pg_catalog.regclass)
                  end)
    then
        raise exception 'could not serialize access due to rotation of queue "%"', x_queue_name
            using errcode = 'serialization_failure';
    end if;
    return que.table_name;
end
$$;
