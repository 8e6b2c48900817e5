-- Returns the last batch that the subconsumer has applied, or null.
create or replace function pgq_ext.get_last_batch(a_consumer text, a_subconsumer text)
returns bigint
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    return (
        select done.last_batch_id from pgq_ext.completed_batch done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer
        order by done.last_batch_id desc limit 1);
end
$$;
