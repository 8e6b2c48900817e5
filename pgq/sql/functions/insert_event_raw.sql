-- Inserts an event with all of its columns. An id of the queue is taken in any case, so that the ticker
-- detects the event, and is used when no id is given; the time defaults to now. Returns the id. Fails
-- when the queue does not exist, inserting into it is disabled, one transaction inserts more events than the
-- queue allows, or the transaction's snapshot is older than a rotation.
create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer, ev_type text,
    ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql cost 1
as $$
declare
    queue alias for $1;
    given_id alias for $2;
    given_time alias for $3;
    owner alias for $4;
    retry alias for $5;
    type alias for $6;
    data alias for $7;
    extra1 alias for $8;
    extra2 alias for $9;
    extra3 alias for $10;
    extra4 alias for $11;
