-- Fails unless each named event is exactly one event of the batch. Internal.
--
--   absent      the number of named events that the batch does not contain
--   repeated    an id that several events of the batch have, or null
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
