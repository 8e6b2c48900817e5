-- Marks a batch as applied. Returns false when it was marked already.
create or replace function pgq_ext.set_batch_done(a_consumer text, a_subconsumer text, a_batch_id bigint)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgq_ext.completed_batch as done (consumer_id, subconsumer_id, last_batch_id)
    values (a_consumer, a_subconsumer, a_batch_id)
    on conflict (consumer_id, subconsumer_id) do update
        set last_batch_id = excluded.last_batch_id
        where done.last_batch_id <> excluded.last_batch_id;
    return found;
end
$$;

create or replace function pgq_ext.set_batch_done(a_consumer text, a_batch_id bigint)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq_ext.set_batch_done(a_consumer, '', a_batch_id);
end
$$;
