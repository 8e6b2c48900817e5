-- Inserts an event with all of its columns. An id of the queue is taken in any case, so that the ticker sees
-- that something came, and used when none is given; without a time it is the present. Returns the id. Fails
-- when there is no such queue, inserting into it is disabled, one transaction inserts more events than the
-- queue allows, or the transaction's snapshot is older than a rotation.
--
-- `insert_event` calls it with its owner's rights under the caller's search path, and setting a path takes as
-- long as inserting; so all names and operators are qualified.
create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer, ev_type text,
    ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql cost 1
as $$
#variable_conflict use_column
declare
    -- The transaction gets its id before it looks for the table: whoever still uses the table before the
    -- current one then has a lower id than the second step of the rotation.
    txid bigint := pg_catalog.txid_current();
    id bigint;
    sequence text;
    prefix text;
    part text;
    restricted boolean;
    que record;
    inserted integer;
begin
    select que.queue_event_seq, que.queue_data_pfx, que.queue_cur_table,
           que.queue_disable_insert or que.queue_per_tx_limit is not null
    into sequence, prefix, part, restricted
    from pgq.queue que
    where que.queue_name operator(pg_catalog.=) $1;
    id := pg_catalog.nextval(sequence::pg_catalog.regclass);

    if restricted is null then
        if $1 is null then
            raise exception 'Queue name must not be NULL' using errcode = 'internal_error';
        end if;
        raise exception 'No such queue' using errcode = 'internal_error';
    end if;
    if restricted then
        select * into que from pgq.queue where queue_name operator(pg_catalog.=) $1;
        if que.queue_disable_insert
            and pg_catalog.current_setting('session_replication_role') operator(pg_catalog.<>) 'replica'
        then
            raise exception 'Insert into queue disallowed' using errcode = 'internal_error';
        end if;
        if que.queue_per_tx_limit operator(pg_catalog.>=) 0 then
            -- The setting lasts as long as the transaction.
            inserted := coalesce(nullif(pg_catalog.current_setting(
                pg_catalog.concat('pgq.inserted_', que.queue_id), true), ''), '0')::integer
                operator(pg_catalog.+) 1;
            if inserted operator(pg_catalog.>) que.queue_per_tx_limit then
                raise exception 'Queue ''%'' allows max % events from one TX', $1, que.queue_per_tx_limit
                    using errcode = 'internal_error';
            end if;
            perform pg_catalog.set_config(
                pg_catalog.concat('pgq.inserted_', que.queue_id), inserted::text, true);
        end if;
    end if;
    if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        perform pgq.current_event_table($1);
    end if;

    execute 'insert into ' operator(pg_catalog.||) prefix operator(pg_catalog.||) '_'
        operator(pg_catalog.||) part
        operator(pg_catalog.||) ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)'
    using coalesce($2, id), coalesce($3, pg_catalog.now()), txid, $4, $5, $6, $7, $8, $9, $10, $11;
    return coalesce($2, id);
end
$$;
