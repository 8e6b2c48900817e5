-- Fails when the events that were named for a batch are not exactly one each. Internal.
--
--   absent      how many of them the batch does not hold
--   repeated    an id under which it holds several, or null
create or replace function pgq._tagged_events_check(x_batch_id bigint, absent bigint, repeated bigint)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if repeated is not null then
        raise exception 'batch % holds several events with the id %', x_batch_id, repeated
            using errcode = 'cardinality_violation';
    end if;
    if absent > 0 then
        raise exception 'batch % does not hold % of the events', x_batch_id, absent using errcode = 'no_data_found';
    end if;
end
$$;
