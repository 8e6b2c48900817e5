-- Inserts an event with all of its columns. Without an id it gets the queue's next one, without a time the
-- present. Returns the id. Fails when there is no such queue, inserting into it is disabled, or one
-- transaction inserts more events than the queue allows.
--
-- Only what does not depend on the search path is used, since `insert_event` calls it with its owner's rights.
create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer, ev_type text,
    ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint
language plpgsql cost 1
as $$
#variable_conflict use_column
declare
    id bigint;
    target text;
    disabled boolean;
    tx_limit integer;
begin
    -- The transaction gets its id before it looks, so that the id is older than the next rotation's.
    perform pg_catalog.txid_current();
    select pg_catalog.concat('insert into ', que.queue_data_pfx, '_', que.queue_cur_table,
                             ' values ($1, $2, default, $3, $4, $5, $6, $7, $8, $9, $10)'),
           coalesce($2, pg_catalog.nextval(que.queue_event_seq::pg_catalog.regclass)),
           que.queue_disable_insert, que.queue_per_tx_limit
    into target, id, disabled, tx_limit
    from pgq.queue que
    where que.queue_name operator(pg_catalog.=) $1;
    if target is null then
        if $1 is null then
            raise exception 'Queue name must not be NULL' using errcode = 'internal_error';
        end if;
        raise exception 'No such queue' using errcode = 'internal_error';
    end if;
    execute target using id, coalesce($3, pg_catalog.now()), $4, $5, $6, $7, $8, $9, $10, $11;
    return id;
end
$$;
