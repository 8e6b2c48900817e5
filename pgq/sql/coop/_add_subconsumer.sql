-- Adds a subconsumer to a consumer, whose row is given, unless the subconsumer exists. Internal.
--
-- The function waits for no lock of the queue, so that it can be called while the consumer's row is locked.
--
-- Returns 1, or 0 when the subconsumer was registered already.
--
-- Errors: the name is empty; the consumer is a subconsumer itself; a consumer of its own has the subconsumer's
-- full name.
create or replace function pgq_coop._add_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_main pgq.subscription)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    full_name constant text := i_consumer_name || '.' || i_subconsumer_name;
    same_name integer;
begin
    if coalesce(i_subconsumer_name, '') = '' then
        raise exception 'subconsumer `%` of consumer `%` on queue `%`: a name must not be empty',
            i_subconsumer_name, i_consumer_name, i_queue_name using errcode = 'invalid_parameter_value';
    end if;
    if i_main.sub_last_tick is null or exists (
        select from pgq.subscription other join pgq.consumer on co_id = other.sub_consumer
        where other.sub_queue = i_main.sub_queue and other.sub_id = i_main.sub_id
          and other.sub_consumer <> i_main.sub_consumer and starts_with(i_consumer_name, co_name || '.'))
    then
        raise exception 'consumer `%` on queue `%` is a subconsumer, it cannot have subconsumers',
            i_consumer_name, i_queue_name using errcode = 'invalid_parameter_value';
    end if;

    insert into pgq.consumer (co_name) values (full_name) on conflict (co_name) do nothing;
    begin
        insert into pgq.subscription (sub_id, sub_queue, sub_consumer)
        select i_main.sub_id, i_main.sub_queue, co_id from pgq.consumer where co_name = full_name;
        return 1;
    exception when unique_violation then
        select sub_id into same_name
        from pgq.subscription join pgq.consumer on co_id = sub_consumer
        where sub_queue = i_main.sub_queue and co_name = full_name;
    end;
    if same_name <> i_main.sub_id then
        raise exception 'consumer `%` on queue `%` is there already and no subconsumer of `%`',
            full_name, i_queue_name, i_consumer_name using errcode = 'duplicate_object';
    end if;
    return 0;
end
$$;
