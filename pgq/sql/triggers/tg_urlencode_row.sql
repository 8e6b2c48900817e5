-- Returns a row urlencoded: `name=value&name=value`, only the name for null.
--
--   template    the encoded names of the columns with a placeholder of format() after each
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_urlencode_row(template text, row_text text, columns integer)
returns text
language plpgsql immutable parallel safe
as $$
declare
    r pgq.tg_row;
    encoded text := row_text;
begin
    -- All but what the text of a row is made of can be encoded while the row is one text.
    if encoded ~ E'[^A-Za-z0-9_.,()" \\\\-]' then
        encoded := pgq.tg_urlencode(encoded);
    end if;
    encoded := pg_catalog.replace(encoded, ' ', '+');
    if columns > 32 then
        encoded := pg_catalog.format(template, variadic array(
            select '=' || value from pg_catalog.unnest(pgq.tg_wide_values(encoded, columns)) as value));
    else
        r := pg_catalog.left(encoded, -1) || pg_catalog.repeat(',', 32 - greatest(columns, 1)) || ')';
        encoded := pg_catalog.format(template, variadic array[
            '=' || r.c1, '=' || r.c2, '=' || r.c3, '=' || r.c4, '=' || r.c5, '=' || r.c6, '=' || r.c7,
            '=' || r.c8, '=' || r.c9, '=' || r.c10, '=' || r.c11, '=' || r.c12, '=' || r.c13, '=' || r.c14,
            '=' || r.c15, '=' || r.c16, '=' || r.c17, '=' || r.c18, '=' || r.c19, '=' || r.c20, '=' || r.c21,
            '=' || r.c22, '=' || r.c23, '=' || r.c24, '=' || r.c25, '=' || r.c26, '=' || r.c27, '=' || r.c28,
            '=' || r.c29, '=' || r.c30, '=' || r.c31, '=' || r.c32]);
    end if;
    -- The template has none of these left, so they come from values.
    if encoded ~ E'[,()"\\\\]' then
        encoded := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
            encoded, ',', '%2c'), '(', '%28'), ')', '%29'), '"', '%22'), E'\\', '%5c');
    end if;
    return encoded;
end
$$;
