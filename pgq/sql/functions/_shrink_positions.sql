-- Rewrites pgq.subscription, for maintenance. The newest versions are at the end of a file that has become large under an old
-- snapshot, and `vacuum` removes nothing before them (DESIGN.md, D125). Gives up if the table is in use. Returns 0.
create or replace function pgq._shrink_positions()
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms'
as $$
begin
    cluster pgq.subscription using subscription_newest_idx;
    return 0;
exception when lock_not_available then
    return 0;
end
$$;
