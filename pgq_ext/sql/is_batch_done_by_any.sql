-- Returns whether a batch is the last one that any of the consumer's subconsumers has applied.
create or replace function pgq_ext.is_batch_done_by_any(a_consumer text, a_batch_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return exists (
        select from pgq_ext.completed_batch done
        where done.last_batch_id::text || ' ' || done.consumer_id = a_batch_id::text || ' ' || a_consumer);
end
$$;
