-- Writes a key into a table of keys, in place of one that is not kept any more. Waits for another transaction that writes
-- the key. Returns whether the key is written; false: the table has the key, and it is kept. Internal.
create or replace function pgq._event_key_claim(
    i_part integer, i_queue_id integer, i_key text, i_event_id bigint, i_now timestamptz, i_until timestamptz)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off
as $$
begin
    if i_part = 0 then
        insert into pgq.event_key_0 as k values (i_queue_id, i_key, i_event_id, i_until)
        on conflict (key_queue, key_text) do update set key_event = excluded.key_event, key_until = excluded.key_until
        where k.key_until <= i_now;
    elsif i_part = 1 then
        insert into pgq.event_key_1 as k values (i_queue_id, i_key, i_event_id, i_until)
        on conflict (key_queue, key_text) do update set key_event = excluded.key_event, key_until = excluded.key_until
        where k.key_until <= i_now;
    else
        insert into pgq.event_key_2 as k values (i_queue_id, i_key, i_event_id, i_until)
        on conflict (key_queue, key_text) do update set key_event = excluded.key_event, key_until = excluded.key_until
        where k.key_until <= i_now;
    end if;
    return found;
end
$$;
