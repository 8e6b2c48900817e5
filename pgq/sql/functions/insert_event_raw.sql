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
    statement text;
    restricted boolean;
    que record;
    inserted integer;
begin
    select que.queue_disable_insert or que.queue_per_tx_limit is not null
               or pg_catalog.current_setting('transaction_isolation')
                  operator(pg_catalog.<>) 'read committed',
           pg_catalog.nextval(que.queue_event_seq::pg_catalog.regclass),
           pg_catalog.concat('insert into ', que.queue_data_pfx, '_', que.queue_cur_table,
                             ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)')
    into restricted, id, statement
    from pgq.queue que
    where que.queue_name operator(pg_catalog.=) $1;

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
            perform pg_catalog.set_config(pg_catalog.concat('pgq.inserted_', que.queue_id), inserted::text, true);
        end if;
        perform pgq.current_event_table($1);
    elsif restricted is null then
        if $1 is null then
            raise exception 'Queue name must not be NULL' using errcode = 'internal_error';
        end if;
        raise exception 'No such queue' using errcode = 'internal_error';
    end if;

    id := coalesce($2, id);
    execute statement using id, coalesce($3, pg_catalog.now()), txid, $4, $5, $6, $7, $8, $9, $10, $11;
    return id;
end
$$;
