-- Calls a maintenance function, with its argument if there is one. Returns whether the function has more to do: its result
-- is an integer above 0. Internal.
create or replace function pgq._maintain(i_func_name text, i_func_arg text)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    more boolean;
begin
    execute format(
        'select case when pg_typeof(result) = ''integer''::regtype then result::text::integer > 0 end'
        ' from (select %s(%s) offset 0) called (result)',
        pgq.quote_fqname(i_func_name), quote_literal(i_func_arg))
    into more;
    return coalesce(more, false);
end
$$;
