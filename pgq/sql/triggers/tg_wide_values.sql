-- As tg_values(), for rows of more than 32 columns. The array has 128 elements, or as many as there are columns.
create or replace function pgq.tg_wide_values(row_text text, columns integer)
returns text[]
language plpgsql immutable parallel safe
as $$
declare
    r pgq.tg_row_128;
begin
    if columns operator(pg_catalog.>) 128 then
        return array(
            select case
                when pg_catalog.starts_with(field[1], '"') then pg_catalog.replace(pg_catalog.replace(
                    pg_catalog.left(pg_catalog.substr(field[1], 2), -1), '""', '"'), E'\\\\', E'\\')
                when field[1] operator(pg_catalog.<>) '' then field[1]
                end
            from pg_catalog.regexp_matches(row_text, '("(?:[^"]|"")*"|[^,()"]*)[,)]', 'g') as field);
    end if;
    r := pg_catalog.concat(
        pg_catalog.left(row_text, -1), pg_catalog.substr(pg_catalog.repeat(',', 127), columns), ')');
    return array[
        r.c1, r.c2, r.c3, r.c4, r.c5, r.c6, r.c7, r.c8, r.c9, r.c10, r.c11, r.c12,
        r.c13, r.c14, r.c15, r.c16, r.c17, r.c18, r.c19, r.c20, r.c21, r.c22, r.c23, r.c24,
        r.c25, r.c26, r.c27, r.c28, r.c29, r.c30, r.c31, r.c32, r.c33, r.c34, r.c35, r.c36,
        r.c37, r.c38, r.c39, r.c40, r.c41, r.c42, r.c43, r.c44, r.c45, r.c46, r.c47, r.c48,
        r.c49, r.c50, r.c51, r.c52, r.c53, r.c54, r.c55, r.c56, r.c57, r.c58, r.c59, r.c60,
        r.c61, r.c62, r.c63, r.c64, r.c65, r.c66, r.c67, r.c68, r.c69, r.c70, r.c71, r.c72,
        r.c73, r.c74, r.c75, r.c76, r.c77, r.c78, r.c79, r.c80, r.c81, r.c82, r.c83, r.c84,
        r.c85, r.c86, r.c87, r.c88, r.c89, r.c90, r.c91, r.c92, r.c93, r.c94, r.c95, r.c96,
        r.c97, r.c98, r.c99, r.c100, r.c101, r.c102, r.c103, r.c104, r.c105, r.c106, r.c107, r.c108,
        r.c109, r.c110, r.c111, r.c112, r.c113, r.c114, r.c115, r.c116, r.c117, r.c118, r.c119, r.c120,
        r.c121, r.c122, r.c123, r.c124, r.c125, r.c126, r.c127, r.c128];
end
$$;
