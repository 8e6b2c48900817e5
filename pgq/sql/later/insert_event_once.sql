-- Inserts an event unless one with the same key was inserted into the queue: returns the event's id and true, or the id of
-- the event that was inserted with the key before and false.
--
-- The key is kept for `keep` from the call on, then forgotten; a call that finds the key does not prolong it. While another
-- transaction is inserting an event with the key, the call waits for its end: after its commit the call returns its event,
-- after its rollback it inserts its own. At the levels `repeatable read` and `serializable` a key that was inserted after
-- the snapshot, or a turn of the tables of keys after it, is a serialization failure (40001): begin the transaction again.
--
-- Errors: the queue does not exist or takes no events; the key is null or longer than 1000 bytes; `keep` is not positive.
create or replace function pgq.insert_event_once(
    queue_name text, event_key text, keep interval, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text,
    out id bigint, out is_new boolean)
returns record
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
as $$
declare
    que constant pgq.queue := pgq._later_queue($1);
    turn constant pgq.event_key_turn := pgq._event_key_turn();
    moment constant timestamptz := clock_timestamp();
    until constant timestamptz := moment + $3;
    new_id bigint;
begin
    if $2 is null or octet_length($2) > 1000 then
        raise exception 'the key of an event must have at most 1000 bytes, and has %',
            coalesce(octet_length($2)::text, 'none: it is null') using errcode = 'invalid_parameter_value';
    end if;
    if until is null or until <= moment then
        raise exception 'the time to keep a key must be positive, and is `%`', $3
            using errcode = 'invalid_parameter_value';
    end if;
    is_new := false;
    id := pgq._event_key_find(turn.turn_live, que.queue_id, $2, moment);
    if id is not null then
        return;
    end if;

    -- The functions of the extension do not notice a rotation behind the snapshot (DESIGN.md, D47).
    if current_setting('transaction_isolation') <> 'read committed' and exists (
        select from pg_class
        where oid = to_regclass(pgq.quote_fqname(concat(
                que.queue_data_pfx, '_', (que.queue_cur_table + 1) % que.queue_ntables)))
          and case when pg_relation_size(oid::regclass, 'main') >= 0
                  then relfilenode <> pg_relation_filenode(oid::regclass) end)
    then
        raise exception 'could not serialize access due to rotation of queue "%"', $1
            using errcode = 'serialization_failure';
    end if;
    new_id := nextval(que.queue_event_seq::regclass);
    if pgq._event_key_claim(turn.turn_current, que.queue_id, $2, new_id, moment, until) then
        if turn.turn_previous is null
            or pgq._event_key_claim(turn.turn_previous, que.queue_id, $2, new_id, moment, until)
        then
            is_new := true;
            id := pgq.insert_event_raw($1, new_id, null, null, null, $4, $5, $6, $7, $8, $9);
            return;
        end if;
        -- A transaction that has not seen the turn has inserted the event.
        execute format('delete from pgq.event_key_%s where key_queue = $1 and key_text = $2', turn.turn_current)
        using que.queue_id, $2;
    end if;
    id := pgq._event_key_find(turn.turn_live, que.queue_id, $2, moment);
    if id is null then
        raise exception 'could not serialize access due to concurrent inserts of key `%`', $2
            using errcode = 'serialization_failure';
    end if;
end
$$;

create or replace function pgq.insert_event_once(
    queue_name text, event_key text, keep interval, ev_type text, ev_data text, out id bigint, out is_new boolean)
returns record
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    select once.id, once.is_new into id, is_new
    from pgq.insert_event_once($1, $2, $3, $4, $5, null, null, null, null) once;
end
$$;
