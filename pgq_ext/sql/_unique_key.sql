-- Prevents a second row of one key, also if a program or an operator writes the table directly. The arguments are the names
-- of the key's columns. Raises 23505. Internal (DESIGN.md, D127).
create or replace function pgq_ext._unique_key()
returns trigger
language plpgsql security definer set row_security = off set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
declare
    own text[];
    is_second boolean;
begin
    -- On a table of another role, the function would read a column of that role's type with the owner's rights.
    if tg_table_schema <> 'pgq_ext' then
        raise exception 'pgq_ext._unique_key is a trigger of tables in schema pgq_ext alone'
            using errcode = 'insufficient_privilege';
    end if;
    execute (
        select format('select array[%s]', string_agg(format('($1).%I', col), ', ' order by place))
        from unnest(tg_argv) with ordinality columns (col, place)
    ) into own using new;
    perform pgq_ext._lock_key(tg_table_name, variadic own);
    execute (
        select format('select count(*) > 1 from %s where %s', tg_relid::regclass,
                      string_agg(format('%I = $1[%s]', col, place), ' and '))
        from unnest(tg_argv) with ordinality columns (col, place)
    ) into is_second using own;
    if is_second then
        raise exception 'table pgq_ext.% has a row with key (%)=(%) already', tg_table_name,
            array_to_string(tg_argv, ', '), array_to_string(own, ', ')
            using errcode = 'unique_violation', schema = tg_table_schema, table = tg_table_name,
                  constraint = tg_table_name || '_pkey';
    end if;
    return null;
end
$$;

revoke all on function pgq_ext._unique_key() from public;
