-- Sets the last batch that a subconsumer has applied. Returns the one before, or null. Internal.
create or replace function pgq_ext._set_last_batch(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    had bigint;
    is_locked boolean := false;
begin
    loop
        select done.last_batch_id into had from pgq_ext.completed_batch done
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer
        order by done.last_batch_id desc limit 1 for no key update;
        exit when found or is_locked;
        -- The second of two concurrent sessions waits here, and then finds the row of the first.
        perform pgq_ext._lock_key('completed_batch', a_consumer, a_subconsumer);
        is_locked := true;
    end loop;
    if not found then
        insert into pgq_ext.completed_batch (consumer_id, subconsumer_id, last_batch_id)
        values (a_consumer, a_subconsumer, a_batch_id);
    elsif had is distinct from a_batch_id then
        update pgq_ext.completed_batch done set last_batch_id = a_batch_id
        where done.consumer_id = a_consumer and done.subconsumer_id = a_subconsumer and done.last_batch_id = had;
    end if;
    return had;
end
$$;
