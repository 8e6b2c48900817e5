    -- The beginning of the body that the three trigger functions share. An installation joins it with the part that makes
    -- the event, such as jsontriga_event.sql, and with trigger_end.sql: a call of a function would cost time for each row.
    --
    --   argument 1      name of the queue
    --   others, in any order:
    --     SKIP          leave out the change itself, in a BEFORE or INSTEAD OF trigger
    --     ignore=A,B    columns that events do not show, and whose changes alone make no event
    --     pkey=A,B      the key's columns, instead of the primary key's
    --     backup        put the old row of an update into ev_extra2
    --     deny          fail
    --     when=EXPR     make an event only if the expression is true
    --     ev_type=EXPR  the value of the event's field; also ev_data, ev_extra1 to ev_extra4
    --
    -- An expression may use the columns of the new row, or of the deleted one. A column `_pgq_ev_type` (or
    -- `data`, `extra1` to `extra4`) sets the field instead of being shown.
    --
    -- Fails when an update changes the key, an update or delete finds no key, an argument is wrong, or an insert,
    -- update or delete is not seen row by row.
    facts pgq.tg_facts;
    relation constant pg_catalog.text := pg_catalog.concat(tg_table_schema, '.', tg_table_name);
    truncates constant boolean := tg_level operator(pg_catalog.=) 'STATEMENT';
    subject pg_catalog.record;
    row_text pg_catalog.text;
    old_text pg_catalog.text;
    changes integer[];
    kind pg_catalog.text;
    row_event pg_catalog.text;
    old_event pg_catalog.text;
    event pg_catalog.text[];
    event_id bigint;
    ignored pg_catalog.text;
begin
    if truncates and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
        raise exception 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW'
            using errcode = 'internal_error';
    elsif tg_argv[0] is null then
        raise exception 'pgq trigger must have destination queue as argument'
            using errcode = 'internal_error';
    end if;
    if tg_op operator(pg_catalog.=) 'DELETE' then
        subject := old;
    else
        subject := new;
    end if;
    if pg_catalog.current_setting('session_replication_role') operator(pg_catalog.=) 'local' then
        return subject;
    end if;
    -- The plan of the second expression holds the facts, see tg_facts().
    ignored := pg_catalog.set_config('pgq.trigger', pg_catalog.concat(tg_relid, ' ', tg_argv), true);
    facts := case when pg_catalog.pg_column_size(pgq.tg_relation())::boolean then pgq.tg_facts() end;
    if facts.checked or truncates then
        ignored := pgq.tg_check(facts, tg_op, tg_when, relation, tg_argv[0]);
    end if;

    <<make>>
    begin
