-- Returns the event of a key that is kept at a time, or null. Internal.
create or replace function pgq._event_key_find(i_live integer[], i_queue_id integer, i_key text, i_now timestamptz)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
declare
    id bigint;
begin
    -- A statement for each table, since a statement locks all of its tables, and the one to truncate must not be locked.
    if 0 = any (i_live) then
        select case when key_until > i_now then key_event end into id from pgq.event_key_0
        where key_queue = i_queue_id and key_text = i_key;
    end if;
    if id is null and 1 = any (i_live) then
        select case when key_until > i_now then key_event end into id from pgq.event_key_1
        where key_queue = i_queue_id and key_text = i_key;
    end if;
    if id is null and 2 = any (i_live) then
        select case when key_until > i_now then key_event end into id from pgq.event_key_2
        where key_queue = i_queue_id and key_text = i_key;
    end if;
    return id;
end
$$;
