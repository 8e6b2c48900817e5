-- Returns a row urlencoded: `name=value&name=value`, only the name for null.
--
--   template    the encoded names of the columns with `=` and a placeholder of format() after each
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_urlencode_row(template text, row_text text, columns integer)
returns text
language plpgsql immutable strict parallel safe
as $$
declare
    encoded pg_catalog.text := row_text;
begin
    -- All except the punctuation of the text of a row can be encoded while the row is one text.
    if encoded operator(pg_catalog.~) E'[^A-Za-z0-9_.,()" \\\\-]' then
        encoded := pgq.tg_urlencode(encoded);
    end if;
    -- No name or value has a `!` left, so it can stand for null.
    encoded := pg_catalog.replace(pg_catalog.format(template, variadic pg_catalog.array_replace(
        pgq.tg_values(pg_catalog.replace(encoded, ' ', '+'), columns), null, '!')), '=!', '');
    -- The template contains none of these characters any more, so they are of values.
    if encoded operator(pg_catalog.~) E'[,()"\\\\]' then
        encoded := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
            pg_catalog.replace(
                encoded, ',', '%2c'), '(', '%28'), ')', '%29'), '"', '%22'), E'\\', '%5c');
    end if;
    return encoded;
end
$$;
