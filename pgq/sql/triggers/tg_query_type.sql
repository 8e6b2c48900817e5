-- Returns the type of the value that a trigger's statement selects, without evaluating it; 0 for no statement, null
-- when it is undetermined. Fails when the statement is wrong.
--
-- The full name of the table ensures that the row's type is the table's, not a type of that name earlier in the search
-- path.
--
--   query       the statement, as tg_query() returns it
--   relation    the trigger's table
create or replace function pgq.tg_query_type(query text, relation regclass)
returns oid
language plpgsql stable
as $$
declare
    full_name constant pg_catalog.text := (
        pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, relation, 0)).identity;
    statement constant pg_catalog.text := pg_catalog.replace(
        query, '($1).', pg_catalog.concat('(null::', full_name, ').'));
    list pg_catalog.regtype;
begin
    if query is null then
        return 0;
    end if;
    begin
        execute pg_catalog.format(E'select pg_catalog.pg_typeof(array(%s\nlimit 0))', statement) into list;
        return (select t.typelem from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) list);
    exception when syntax_error then
        -- The statement may be valid by itself, with several columns or as several statements.
    end;
    execute statement;
    return null;
exception
    when syntax_error or undefined_column or undefined_function or undefined_table or undefined_parameter then
        raise;
    when others then
        return null;
end
$$;
