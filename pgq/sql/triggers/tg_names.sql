-- Returns the present names of a table's columns. A query of pg_attribute may return older names, as old as the
-- snapshot of the transaction or of a COPY that had to wait.
create or replace function pgq.tg_names(relation regclass)
returns text[]
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    names text[];
begin
    execute format(
        'select array(select json_object_keys(row_to_json(r.*))) from (select (null::%s).*) r', relation)
    into names;
    return names;
end
$$;
