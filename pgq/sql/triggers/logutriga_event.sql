        if truncates then
            kind := 'R';
            row_event := '';
        else
            kind := pg_catalog.concat(pg_catalog.left(tg_op, 1), ':', facts.key_list);
            row_event := pgq.tg_urlencode_row(
                facts.url_template, coalesce(row_text, subject::pg_catalog.text), facts.columns);
            if facts.backup then
                old_event := pgq.tg_urlencode_row(facts.url_template, old_text, facts.columns);
            end if;
        end if;
