-- Marks an event as applied, and forgets those of the consumer's other batches. Returns false when it was
-- marked already.
create or replace function pgq_ext.set_event_done(
    a_consumer text, a_subconsumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgq_ext.partial_batch as part (consumer_id, subconsumer_id, cur_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
        set cur_batch_id = excluded.cur_batch_id
        where part.cur_batch_id <> excluded.cur_batch_id;
    if found then
        delete from pgq_ext.completed_event done
        where done.consumer_id = a_consumer
          and done.subconsumer_id = a_subconsumer
          and done.batch_id <> a_batch_id;
    end if;
    insert into pgq_ext.completed_event (consumer_id, subconsumer_id, batch_id, event_id)
    values (a_consumer, a_subconsumer, a_batch_id, a_event_id)
    on conflict do nothing;
    return found;
end
$$;

create or replace function pgq_ext.set_event_done(a_consumer text, a_batch_id bigint, a_event_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_event_done(a_consumer, '', a_batch_id, a_event_id);
end
$$;
