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
#variable_conflict use_column
declare
    -- The transaction gets its id before it reads the current table, as a rotation expects (DESIGN.md, D45).
    txid bigint := pg_catalog.txid_current();
    id bigint;
    prefix pg_catalog.text;
    part integer;
    plain boolean;
begin
    select pg_catalog.nextval(que.queue_event_seq::pg_catalog.regclass), que.queue_data_pfx, que.queue_cur_table,
           not que.queue_disable_insert and que.queue_per_tx_limit is null
    into id, prefix, part, plain
    from pgq.queue que where que.queue_name operator(pg_catalog.=) $1;
    if plain is not true then
        perform pgq._check_insert($1);
    end if;
    if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        perform pgq.current_event_table($1);
    end if;
    execute pg_catalog.concat('insert into ', prefix, '_', part,
        ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)')
    using coalesce($2, id), coalesce($3, pg_catalog.now()), txid, $4, $5, $6, $7, $8, $9, $10, $11;
    return coalesce($2, id);
end
$$;
