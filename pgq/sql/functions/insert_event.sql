create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint
language plpgsql
as $$
begin
    return pgq.insert_event($1, $2, $3, null, null, null, null);
end
$$;

-- Inserts an event into a queue. Returns its id. Fails as `insert_event_raw` does.
create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    queue alias for $1;
    type alias for $2;
    data alias for $3;
    extra1 alias for $4;
    extra2 alias for $5;
    extra3 alias for $6;
    extra4 alias for $7;
    given_id bigint;
    given_time pg_catalog.timestamptz;
    owner integer;
    retry integer;
