-- Inserts an event into a queue. Returns its id. Fails as `insert_event_raw` does.
create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return pgq.insert_event_raw($1, null, null, null, null, $2, $3, $4, $5, $6, $7);
end
$$;

create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint
language plpgsql
as $$
begin
    return pgq.insert_event($1, $2, $3, null, null, null, null);
end
$$;
