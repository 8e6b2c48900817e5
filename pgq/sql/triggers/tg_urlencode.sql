-- Returns a text with every byte percent-encoded, except letters, digits, `_.-`, the space, and the punctuation of the
-- text of a row: `,()"\`.
create or replace function pgq.tg_urlencode(plain text)
returns text
language plpgsql immutable parallel safe
as $$
declare
    encoded pg_catalog.text;
    rest pg_catalog.text;
    one pg_catalog.text;
begin
    encoded := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        plain, '%', '%25'), '+', '%2b'), ':', '%3a'), '@', '%40'), '/', '%2f');
    if encoded operator(pg_catalog.!~) E'[^A-Za-z0-9_.,()" \\\\%-]' then
        return encoded;
    end if;
    rest := pg_catalog.regexp_replace(encoded, E'[A-Za-z0-9_.,()" \\\\%-]+', '', 'g');
    while rest operator(pg_catalog.<>) '' loop
        one := pg_catalog.left(rest, 1);
        rest := pg_catalog.replace(rest, one, '');
        encoded := pg_catalog.replace(encoded, one, pg_catalog.regexp_replace(pg_catalog.encode(
            pg_catalog.convert_to(one, pg_catalog.getdatabaseencoding()), 'hex'), '(..)', E'%\\1', 'g'));
    end loop;
    return encoded;
end
$$;
