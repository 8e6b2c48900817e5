-- Returns the text of what a statement selects first.
--
--   query       the statement, or null, whose result is null
--   subject     the row that is the statement's `$1`
create or replace function pgq.tg_evaluate(query text, subject record)
returns text
language plpgsql
as $$
declare
    result pg_catalog.record;
    found_rows bigint;
    result_text pg_catalog.text;
begin
    if query is null then
        return null;
    end if;
    execute query into result using subject;
    get diagnostics found_rows = row_count;
    if found_rows operator(pg_catalog.<>) 1 then
        raise exception 'Expect 1 row from override query, got %', found_rows
            using errcode = 'internal_error';
    end if;
    result_text := result::pg_catalog.text;
    if pg_catalog.strpos(result_text, '"')::boolean then
        return (pgq.tg_values(result_text, 1664))[1];
    end if;
    return pg_catalog.substring(result_text, '^[(]([^,)]+)');
end
$$;
