        -- Shared by jsontriga and logutriga: an update makes no event if only ignored columns change.
        if tg_op operator(pg_catalog.=) 'UPDATE' then
            row_text := new::pg_catalog.text;
            old_text := old::pg_catalog.text;
            -- The key stays if the first column is the whole key and does not change.
            if not facts.key_first
                or not pg_catalog.starts_with(
                    row_text, pg_catalog.concat(pg_catalog.split_part(old_text, ',', 1), ','))
                or pg_catalog.strpos(pg_catalog.split_part(old_text, ',', 1), '"')::boolean
            then
                changes := pgq.tg_changes(
                    facts, facts.compared, pgq.tg_values(old_text, facts.columns),
                    pgq.tg_values(row_text, facts.columns), old, new);
                exit make when not pgq.tg_is_wanted(changes, facts.ignores, facts.keys, facts.shown);
            end if;
        end if;
