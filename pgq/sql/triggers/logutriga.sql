-- Makes an event of each change of a table's rows, with the row urlencoded.
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
-- An expression may use the columns of the new row, or of the deleted one. A column `_pgq_ev_type` (or `data`,
-- `extra1` to `extra4`) sets the field instead of being shown.
--
-- Fails when an update changes the key, an update or delete finds no key, an argument is wrong, or an insert,
-- update or delete is not seen row by row.
--
-- ev_type is `I:`, `U:` or `D:` and the key's columns with commas between them, `R` for a truncate; ev_data the
-- row, ev_extra1 the table, ev_extra2 the old row urlencoded if asked for.
create or replace function pgq.logutriga()
returns trigger
language plpgsql cost 1
as $$
declare
    facts pgq.tg_facts;
    relation constant text := tg_table_schema::text || '.' || tg_table_name::text;
    event text[];
    row_text text;
    old_text text;
    changes integer[];
    ignored text;
begin
    if tg_level = 'STATEMENT' and tg_op <> 'TRUNCATE' then
        raise exception 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW' using errcode = 'internal_error';
    elsif tg_nargs = 0 then
        raise exception 'pgq trigger must have destination queue as argument' using errcode = 'internal_error';
    elsif pg_catalog.current_setting('session_replication_role') = 'local' then
        if tg_op = 'DELETE' then return old; else return new; end if;
    end if;
    -- The plan of the second expression holds the facts, see tg_facts().
    ignored := pg_catalog.set_config('pgq.trigger', tg_relid::text || ' ' || tg_argv::text, true);
    facts := case pg_catalog.pg_column_size(pgq.tg_relation()) when 4 then pgq.tg_facts() end;
    if facts.checked or tg_op = 'TRUNCATE' then
        ignored := pgq.tg_check(facts, tg_op, tg_when, relation, tg_argv[0]);
    end if;

    <<make>>
    begin
        if tg_op = 'INSERT' then
            row_text := new::text;
            event := array['I:' || facts.key_list, pgq.tg_urlencode_row(facts.url_template, row_text, facts.columns), relation, null, null, null];
        elsif tg_op = 'UPDATE' then
            row_text := new::text;
            old_text := old::text;
            if not facts.key_first
               or pg_catalog.split_part(row_text, ',', 1) <> pg_catalog.split_part(old_text, ',', 1) collate "C"
               or pg_catalog.strpos(pg_catalog.split_part(row_text, ',', 1), '"') > 0
            then
                changes := pgq.tg_changes(
                    facts.compared, facts.loose, facts.names, pgq.tg_values(old_text, facts.columns),
                    pgq.tg_values(row_text, facts.columns), old, new);
                if facts.ignores then
                    exit make when not pgq.tg_is_wanted(changes, facts.keys, facts.shown);
                elsif changes && facts.keys then
                    raise exception 'primary key update not allowed' using errcode = 'internal_error';
                end if;
            end if;
            event := array['U:' || facts.key_list, pgq.tg_urlencode_row(facts.url_template, row_text, facts.columns), relation, null, null, null];
            if facts.backup then
                event[4] := pgq.tg_urlencode_row(facts.url_template, old_text, facts.columns);
            end if;
        elsif tg_op = 'DELETE' then
            row_text := old::text;
            event := array['D:' || facts.key_list, pgq.tg_urlencode_row(facts.url_template, row_text, facts.columns), relation, null, null, null];
        else
            event := array['R', '', relation, null, null, null];
        end if;
        if facts.bad_magic is not null and tg_op <> 'TRUNCATE' then
            raise exception 'Unknown magic column: %', facts.bad_magic using errcode = 'internal_error';
        elsif facts.custom and tg_op = 'DELETE' then
            event := pgq.tg_customize(event, facts.magic, facts.columns, row_text, facts.fields, facts.queries,
                facts.query_types, old);
            exit make when event is null;
        elsif facts.custom and tg_op <> 'TRUNCATE' then
            event := pgq.tg_customize(event, facts.magic, facts.columns, row_text, facts.fields, facts.queries,
                facts.query_types, new);
            exit make when event is null;
        end if;
        ignored := pgq.insert_event(
            tg_argv[0], event[1], event[2], event[3], event[4], event[5], event[6]);
    end make;

    if facts.skip then
        return null;
    elsif tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
