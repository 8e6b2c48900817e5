-- Fails when events may not be inserted into a queue now: the queue does not exist, inserting is disabled,
-- or this transaction has inserted as many events as the queue allows. Counts the event.
create or replace function pgq._check_insert(i_queue_name text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    que pgq.queue;
    counter text;
    inserted integer;
begin
    if i_queue_name is null then
        raise exception 'Queue name must not be NULL' using errcode = 'internal_error';
    end if;
    select * into que from pgq.queue where queue_name = i_queue_name;
    if not found then
        raise exception 'No such queue' using errcode = 'internal_error';
    end if;
    if que.queue_disable_insert and current_setting('session_replication_role') <> 'replica' then
        raise exception 'Insert into queue disallowed' using errcode = 'internal_error';
    end if;
    if que.queue_per_tx_limit >= 0 then
        -- The setting that contains the count ends with the transaction.
        counter := concat('pgq.inserted_', que.queue_id);
        inserted := coalesce(nullif(current_setting(counter, true), ''), '0')::integer + 1;
        if inserted > que.queue_per_tx_limit then
            raise exception 'Queue ''%'' allows max % events from one TX',
                i_queue_name, que.queue_per_tx_limit using errcode = 'internal_error';
        end if;
        perform set_config(counter, inserted::text, true);
    end if;
end
$$;
