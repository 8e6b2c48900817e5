    -- The body that insert_event and insert_event_raw share. An installation joins it with the beginning of either, which
    -- declares the event's columns: a call of one by the other would cost time for each event.
    --
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
    from pgq.queue que where que.queue_name operator(pg_catalog.=) queue;
    if plain is not true then
        perform pgq._check_insert(queue);
    end if;
    if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        perform pgq.current_event_table(queue);
    end if;
    execute pg_catalog.concat('insert into ', prefix, '_', part,
        ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)')
    using coalesce(given_id, id), coalesce(given_time, pg_catalog.now()), txid, owner, retry, type, data,
        extra1, extra2, extra3, extra4;
    return coalesce(given_id, id);
end
$$;
