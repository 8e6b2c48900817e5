-- Gives a subconsumer a batch, as pgq_coop.next_batch_custom does with no minimum.
--
-- Returns the batch's id, or null when there is no batch.
create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_dead_interval interval)
returns bigint
language sql set search_path = pg_catalog, pg_temp
as $$
    select batch_id from pgq_coop.next_batch_custom($1, $2, $3, null, null, null, $4)
$$;

create or replace function pgq_coop.next_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns bigint
language sql set search_path = pg_catalog, pg_temp
as $$
    select batch_id from pgq_coop.next_batch_custom($1, $2, $3, null, null, null, null)
$$;
