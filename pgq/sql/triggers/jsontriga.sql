-- Makes an event of each change of a table's rows, with the row as JSON.
--
--   argument 1      name of the queue
--   others, in any order:
--     SKIP          leave out the change itself, in a BEFORE or INSTEAD OF trigger
--     ignore=A,B    columns that events do not show, and whose changes alone make no event
--     pkey=A,B      the key's columns, instead of the primary key's
--     backup        put the old row of an update into ev_extra2
--     deny          fail
--     when=EXPR     make an event only if the expression is true
--     ev_type=EXPR  what the event's field is to be; also ev_data, ev_extra1 to ev_extra4
--
-- An expression may use the columns of the new row, or of the deleted one. A column `_pgq_ev_type` (or
-- `data`, `extra1` to `extra4`) sets the field instead of being shown.
--
-- Fails when an update changes the key, an update or delete finds no key, an argument is wrong, or an insert,
-- update or delete is not seen row by row.
--
-- ev_type is a JSON object with `op`, `table` (schema and name) and `pkey` (the key's columns); ev_data the
-- row, or `{}` for a truncate; ev_extra1 the table, ev_extra2 the old row if asked for.
create or replace function pgq.jsontriga()
returns trigger
language plpgsql cost 1
as $$
declare
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
        if tg_op operator(pg_catalog.=) 'UPDATE' then
            row_text := new::pg_catalog.text;
            old_text := old::pg_catalog.text;
            -- Mostly a glance at the first column tells that the key stays.
            if not facts.key_first
                or not pg_catalog.starts_with(
                    row_text, pg_catalog.concat(pg_catalog.split_part(old_text, ',', 1), ','))
                or pg_catalog.strpos(pg_catalog.split_part(old_text, ',', 1), '"')::boolean
            then
                changes := pgq.tg_changes(
                    facts.compared, facts.numerics, facts.loose, facts.names,
                    pgq.tg_values(old_text, facts.columns), pgq.tg_values(row_text, facts.columns), old, new);
                exit make when not pgq.tg_is_wanted(changes, facts.ignores, facts.keys, facts.shown);
            end if;
        end if;
        kind := pg_catalog.concat('{"op":"', tg_op, '","table":[', pg_catalog.to_json(tg_table_schema), ',',
            pg_catalog.to_json(tg_table_name), '],"pkey":', facts.key_json, '}');
        row_event := case
            when truncates then '{}'
            when facts.json_plain then pg_catalog.row_to_json(subject)::pg_catalog.text
            else pgq.tg_json_row(facts, pg_catalog.row_to_json(subject), subject)
        end;
        if facts.backup and tg_op operator(pg_catalog.=) 'UPDATE' then
            old_event := case
                when facts.json_plain then pg_catalog.row_to_json(old)::pg_catalog.text
                else pgq.tg_json_row(facts, pg_catalog.row_to_json(old), old)
            end;
        end if;
        if facts.custom and not truncates then
            event := pgq.tg_customize(
                facts, array[kind, row_event, relation, old_event, null, null], subject);
            exit make when event is null;
            event_id := pgq.insert_event(
                tg_argv[0], event[1], event[2], event[3], event[4], event[5], event[6]);
        else
            event_id := pgq.insert_event(tg_argv[0], kind, row_event, relation, old_event, null, null);
        end if;
    end make;

    if facts.skip then
        return null;
    end if;
    return subject;
end
$$;
