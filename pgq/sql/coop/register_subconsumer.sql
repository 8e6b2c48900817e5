-- Registers a subconsumer, and the consumer too when it is not there yet.
--
-- Returns 1, or 0 when the subconsumer was registered already.
--
-- Errors: the queue does not exist; a name is empty; the consumer is a subconsumer itself; a consumer of its
-- own has the subconsumer's full name.
create or replace function pgq_coop.register_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    full_name constant text := i_consumer_name || '.' || i_subconsumer_name;
    queue integer;
    main record;
    same_name record;
begin
    if coalesce(i_consumer_name, '') = '' or coalesce(i_subconsumer_name, '') = '' then
        raise exception 'subconsumer `%` of consumer `%` on queue `%`: a name must not be empty',
            i_subconsumer_name, i_consumer_name, i_queue_name using errcode = 'invalid_parameter_value';
    end if;
    -- Two registrations on a queue take turns, so that neither inserts a row that the other has inserted.
    select queue_id into queue from pgq.queue where queue_name = i_queue_name for no key update;
    if not found then
        raise exception 'queue `%` does not exist, consumer `%` cannot be registered', i_queue_name, full_name
            using errcode = 'undefined_object';
    end if;

    perform pgq.register_consumer(i_queue_name, i_consumer_name);
    select sub_id, sub_last_tick into main
    from pgq.subscription join pgq.consumer on co_id = sub_consumer
    where sub_queue = queue and co_name = i_consumer_name;
    if main.sub_last_tick is null then
        raise exception 'consumer `%` on queue `%` is a subconsumer, it cannot have subconsumers',
            i_consumer_name, i_queue_name using errcode = 'invalid_parameter_value';
    end if;

    select sub_id into same_name
    from pgq.subscription join pgq.consumer on co_id = sub_consumer
    where sub_queue = queue and co_name = full_name;
    if found and same_name.sub_id <> main.sub_id then
        raise exception 'consumer `%` on queue `%` is there already and no subconsumer of `%`',
            full_name, i_queue_name, i_consumer_name using errcode = 'duplicate_object';
    elsif found then
        return 0;
    end if;

    insert into pgq.consumer (co_name) values (full_name) on conflict (co_name) do nothing;
    insert into pgq.subscription (sub_id, sub_queue, sub_consumer)
    select main.sub_id, queue, co_id from pgq.consumer where co_name = full_name;
    return 1;
end
$$;
