-- Sets the search path for the rest of the transaction, in which schemas are changed: the catalogue alone, or, if there
-- are event triggers, the catalogue and the database's own path (DESIGN.md, D58).
do $$
begin
    perform pg_catalog.set_config('search_path', case
        when not exists (
            select from pg_catalog.pg_event_trigger where evtenabled operator(pg_catalog.<>) 'D')
        then 'pg_catalog, pg_temp'
        else pg_catalog.concat('pg_catalog, ', coalesce(
            (select pg_catalog.concat(nullif(pg_catalog.substr(given, 13), ''), ', ')
             from pg_catalog.pg_db_role_setting
             cross join pg_catalog.unnest(setconfig) given
             where setrole operator(pg_catalog.=) 0::pg_catalog.oid
               and (setdatabase operator(pg_catalog.=) 0::pg_catalog.oid
                    or setdatabase operator(pg_catalog.=) (
                        select oid from pg_catalog.pg_database
                        where datname operator(pg_catalog.=) pg_catalog.current_database()))
               and pg_catalog.starts_with(given, 'search_path=')
               and pg_catalog.strpos(given, 'pg_temp') operator(pg_catalog.=) 0
             order by setdatabase desc limit 1),
            '"$user", public, '), 'pg_temp')
        end, true);
end
$$;
