-- Quotes a name that the first dot divides into schema and object; without a dot the schema is `public`.
create or replace function pgq.quote_fqname(i_name text)
returns text
language plpgsql immutable strict set search_path = pg_catalog, pg_temp
as $$
declare
    dot integer := strpos(i_name, '.');
begin
    if dot = 0 then
        return 'public.' || quote_ident(i_name);
    end if;
    return quote_ident(left(i_name, dot - 1)) || '.' || quote_ident(substr(i_name, dot + 1));
end
$$;
