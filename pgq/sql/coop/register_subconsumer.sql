-- Registers a subconsumer, and the consumer too if it is not registered.
--
-- Returns 1, or 0 when the subconsumer was registered already.
--
-- Errors: the queue does not exist; a name is empty; the consumer is a subconsumer itself; a consumer of its
-- own has the subconsumer's full name.
create or replace function pgq_coop.register_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    queue integer;
    main pgq.subscription;
begin
    if coalesce(i_consumer_name, '') = '' or coalesce(i_subconsumer_name, '') = '' then
        raise exception 'subconsumer `%` of consumer `%` on queue `%`: a name must not be empty',
            i_subconsumer_name, i_consumer_name, i_queue_name using errcode = 'invalid_parameter_value';
    end if;
    -- Two registrations on a queue take turns, so that neither inserts a row that the other has inserted.
    select queue_id into queue from pgq.queue where queue_name = i_queue_name for no key update;
    if not found then
        raise exception 'queue `%` does not exist, consumer `%` cannot be registered',
            i_queue_name, i_consumer_name || '.' || i_subconsumer_name using errcode = 'undefined_object';
    end if;

    perform pgq.register_consumer(i_queue_name, i_consumer_name);
    select sub.* into main
    from pgq.subscription sub join pgq.consumer on co_id = sub.sub_consumer
    where sub.sub_queue = queue and co_name = i_consumer_name;
    return pgq_coop._add_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name, main);
end
$$;
