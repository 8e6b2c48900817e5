-- Closes a batch and moves its consumer on. Returns 1, or 0 with a warning when the batch does not exist.
create or replace function pgq.finish_batch(x_batch_id bigint)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
set enable_seqscan = off set jit = off
as $$
declare
    closed integer;
begin
    update pgq.subscription s
    set (sub_batch, sub_last_tick, sub_next_tick, sub_active) = (null, s.sub_next_tick, null, now())
    where s.sub_batch = x_batch_id;
    get diagnostics closed = row_count;
    if closed = 0 then
        raise warning 'finish_batch: batch % not found', x_batch_id;
    end if;
    return closed;
end
$$;
