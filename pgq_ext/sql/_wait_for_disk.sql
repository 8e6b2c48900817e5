-- Makes the transaction's commit wait for the disk, even if `synchronous_commit` is off. Internal.
--
-- The source finishes a recorded batch as soon as the commit returns (DESIGN.md, D31).
create or replace function pgq_ext._wait_for_disk()
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
end
$$;
