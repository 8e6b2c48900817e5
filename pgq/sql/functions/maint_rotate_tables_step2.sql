-- Finishes rotations that `maint_rotate_tables_step1` began, in a later transaction: who still inserts into
-- the table before has a transaction id below the one that is recorded here. Returns 0.
create or replace function pgq.maint_rotate_tables_step2()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    -- The recorded id has to be younger than the rotation's commit. One that was given to this transaction
    -- before now need not be; then a later call records its own.
    if txid_current_if_assigned() is null then
        -- No other call can finish a rotation, and so none can begin, between the look and the record. The lock is one
        -- that wants a right: an advisory lock could be taken by whoever connects, and would stop all rotations.
        lock table pgq.retry_queue in share update exclusive mode;
        update pgq.queue q set queue_switch_step2 = txid_current() where q.queue_switch_step2 is null;
    end if;
    return 0;
end
$$;
