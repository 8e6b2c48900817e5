-- Returns whether a batch is the last one that the consumer has applied.
create or replace function pgq_ext.is_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return exists (
        select from pgq_ext.completed_batch done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer
          and done.last_batch_id = a_batch_id);
end
$$;

create or replace function pgq_ext.is_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.is_batch_done(a_consumer, '', a_batch_id);
end
$$;
