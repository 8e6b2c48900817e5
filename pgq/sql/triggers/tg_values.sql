-- Returns the texts that the output functions of their types made of a row's values, in the order of the columns. The
-- array may have more elements than the row has columns; the rest are null.
--
--   row_text    the row as text
--   columns     how many columns the row has
create or replace function pgq.tg_values(row_text text, columns integer)
returns text[]
language plpgsql immutable strict parallel safe
as $$
declare
    n pgq.tg_row_8;
    r pgq.tg_row_32;
begin
    if columns operator(pg_catalog.<=) 8 then
        n := pg_catalog.concat(pg_catalog.left(row_text, -1), pg_catalog.substr(',,,,,,,', columns), ')');
        return array[n.c1, n.c2, n.c3, n.c4, n.c5, n.c6, n.c7, n.c8];
    elsif columns operator(pg_catalog.>) 32 then
        return pgq.tg_wide_values(row_text, columns);
    end if;
    r := pg_catalog.concat(
        pg_catalog.left(row_text, -1), pg_catalog.substr(pg_catalog.repeat(',', 31), columns), ')');
    return array[
        r.c1, r.c2, r.c3, r.c4, r.c5, r.c6, r.c7, r.c8,
        r.c9, r.c10, r.c11, r.c12, r.c13, r.c14, r.c15, r.c16,
        r.c17, r.c18, r.c19, r.c20, r.c21, r.c22, r.c23, r.c24,
        r.c25, r.c26, r.c27, r.c28, r.c29, r.c30, r.c31, r.c32];
end
$$;
