-- Returns the type of what a trigger's statement selects, without evaluating it; 0 for no statement, null when
-- that cannot be told. Fails where a name of the statement does not exist.
--
--   query       the statement, as tg_query() returns it
--   relation    the trigger's table
create or replace function pgq.tg_query_type(query text, relation regclass)
returns oid
language plpgsql stable
as $$
declare
    list regtype;
begin
    if query is null then
        return 0;
    end if;
    execute pg_catalog.format(
        E'select pg_catalog.pg_typeof(array(%s\nlimit 0)) from (select null::%s) as _ (r)',
        pg_catalog.replace(query, '($1).', '(r).'), relation) into list;
    return (select t.typelem from pg_catalog.pg_type t where t.oid = list);
exception
    when undefined_column or undefined_function or undefined_table then
        raise;
    when others then
        return null;
end
$$;
