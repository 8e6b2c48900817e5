-- Returns the text of what a statement selects first.
--
--   query       the statement, or null, whose result is null
--   subject     the row that is the statement's `$1`
create or replace function pgq.tg_evaluate(query text, subject record)
returns text
language plpgsql
as $$
declare
    result record;
    found_rows bigint;
    result_text text;
begin
    if query is null then
        return null;
    end if;
    execute query into result using subject;
    get diagnostics found_rows = row_count;
    if found_rows <> 1 then
        raise exception 'Expect 1 row from override query, got %', found_rows
            using errcode = 'internal_error';
    end if;
    result_text := result::text;
    if pg_catalog.strpos(result_text, '"') > 0 then
        return (pgq.tg_values(result_text, 1664))[1];
    end if;
    return nullif(pg_catalog.split_part(pg_catalog.substr(
        result_text, 2, pg_catalog.length(result_text) - 2), ',', 1), '');
end
$$;
