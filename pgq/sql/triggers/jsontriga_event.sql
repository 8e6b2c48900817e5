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
