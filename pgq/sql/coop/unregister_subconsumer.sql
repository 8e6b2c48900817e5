-- Removes a subconsumer; the consumer and its position stay.
--
-- i_batch_handling applies if the subconsumer has an open batch: 1 makes the batch's events retry events of the consumer,
-- which are redelivered to the other subconsumers at once; any other value, such as 0, is an error.
--
-- Returns 1, or 0 when the subconsumer is not registered.
--
-- Errors: a batch is open and i_batch_handling is not 1.
create or replace function pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling integer)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    own record;
begin
    select sub.sub_queue, sub.sub_consumer, sub.sub_batch into own
    from pgq.queue
    join pgq.consumer main_name on main_name.co_name = i_consumer_name
    join pgq.subscription main on main.sub_queue = queue_id and main.sub_consumer = main_name.co_id
    join pgq.consumer sub_name on sub_name.co_name = i_consumer_name || '.' || i_subconsumer_name
    join pgq.subscription sub on sub.sub_queue = queue_id and sub.sub_consumer = sub_name.co_id
    where queue_name = i_queue_name and sub.sub_id = main.sub_id
    for update of sub;
    if not found then
        return 0;
    end if;

    if own.sub_batch is not null and i_batch_handling is distinct from 1 then
        raise exception 'subconsumer has active batch' using
            errcode = 'object_in_use',
            detail = format('Subconsumer `%s` of consumer `%s` on queue `%s` has batch %s open.',
                            i_subconsumer_name, i_consumer_name, i_queue_name, own.sub_batch),
            hint = 'With batch handling 1 its events are retried.';
    elsif own.sub_batch is not null then
        perform pgq.batch_retry(own.sub_batch, 0);
    end if;
    delete from pgq.subscription
    where sub_queue = own.sub_queue and sub_consumer = own.sub_consumer;
    return 1;
end
$$;
