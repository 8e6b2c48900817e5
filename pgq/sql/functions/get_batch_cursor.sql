-- Opens a cursor on a batch's events, restricted by an optional condition, and returns the first
-- `i_quick_limit` of them. Opens nothing when batch, name or limit is null. Fails when the batch does not
-- exist.
create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer, i_extra_where text,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text,
    out ev_extra4 text)
returns setof record
language plpgsql
as $$
declare
    events pg_catalog.text;
begin
    if pg_catalog.num_nulls(i_batch_id, i_cursor_name, i_quick_limit) operator(pg_catalog.>) 0 then
        return;
    end if;
    events := pgq.batch_event_sql(i_batch_id);
    if i_extra_where is not null then
        events := pg_catalog.format('select * from (%s) _evs where %s order by 1', events, i_extra_where);
    end if;
    execute pg_catalog.format('declare %I no scroll cursor for %s', i_cursor_name, events);
    if i_quick_limit operator(pg_catalog.>) 0 then
        return query execute pg_catalog.format('fetch %s from %I', i_quick_limit, i_cursor_name);
    end if;
end
$$;

create or replace function pgq.get_batch_cursor(
    i_batch_id bigint, i_cursor_name text, i_quick_limit integer,
    out ev_id bigint, out ev_time timestamptz, out ev_txid bigint, out ev_retry integer,
    out ev_type text, out ev_data text, out ev_extra1 text, out ev_extra2 text, out ev_extra3 text,
    out ev_extra4 text)
returns setof record
language plpgsql strict
as $$
begin
    return query select * from pgq.get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit, null);
end
$$;
