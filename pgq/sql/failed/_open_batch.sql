-- Returns the position of the consumer that has the batch open, locked until the end of the transaction, or nulls. The lock
-- keeps the consumer from being removed before its events are committed. Internal.
create or replace function pgq._open_batch(x_batch_id bigint)
returns pgq.subscription
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
    open pgq.subscription;
begin
    select * into open from pgq.subscription where sub_batch = x_batch_id for no key update;
    return open;
end
$$;

revoke all on function pgq._open_batch(bigint) from public;
