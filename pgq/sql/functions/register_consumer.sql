-- Registers a consumer: its first batch begins at the queue's last tick. Returns 1, or 0 when it was
-- registered already. Fails when the queue does not exist, or the queue has no tick.
create or replace function pgq.register_consumer(x_queue_name text, x_consumer_id text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    return pgq.register_consumer_at(x_queue_name, x_consumer_id, null);
end
$$;
