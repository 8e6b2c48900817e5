-- Finishes the rotations that `maint_rotate_tables_step1` began, in a later transaction: every transaction that still
-- inserts into the previous table has an id below the one that is recorded here. Returns 0.
create or replace function pgq.maint_rotate_tables_step2()
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    -- The recorded id must be assigned after the rotation's commit. A transaction that has an id already may have got it
    -- earlier, so it records nothing, and a later call does.
    if txid_current_if_assigned() is null then
        -- The lock keeps other calls from finishing a rotation, and so a new one from beginning, between the check and
        -- the update. It is a table lock, which needs a privilege: any session could hold an advisory lock, and thereby
        -- stop all rotations.
        lock table pgq.retry_queue in share update exclusive mode;
        update pgq.queue q set queue_switch_step2 = txid_current() where q.queue_switch_step2 is null;
        -- Marks that two transactions replaced at once.
        delete from pgq.retry_mark where mark_no < (select max(m.mark_no) from pgq.retry_mark m);
    end if;
    return 0;
end
$$;
