        row_text := subject::pg_catalog.text;
        if tg_op operator(pg_catalog.=) 'INSERT' then
            kind := 'I';
            row_event := pgq.tg_sql_insert(facts.sql_template, row_text, facts.columns);
        elsif tg_op operator(pg_catalog.=) 'UPDATE' then
            old_text := old::pg_catalog.text;
            old_values := pgq.tg_values(old_text, facts.columns);
            new_values := pgq.tg_values(row_text, facts.columns);
            changes := pgq.tg_changes(facts, facts.all_columns, old_values, new_values, old, new);
            if facts.ignores or changes operator(pg_catalog.&&) facts.keys then
                exit make when not pgq.tg_is_wanted(changes, facts.ignores, facts.keys, facts.shown);
            end if;
            exit make when (facts.ignores or facts.custom) and changes operator(pg_catalog.<>) '{}'
                and not changes operator(pg_catalog.&&) facts.shown;
            kind := 'U';
            row_event := pgq.tg_sql_update(facts, changes, old_values, new_values);
            if facts.backup then
                old_event := pgq.tg_urlencode_row(facts.url_template, old_text, facts.columns);
            end if;
        elsif truncates then
            kind := 'R';
            row_event := '';
        else
            old_values := pgq.tg_values(row_text, facts.columns);
            kind := 'D';
            row_event := pgq.tg_sql_where(facts, old_values);
        end if;
