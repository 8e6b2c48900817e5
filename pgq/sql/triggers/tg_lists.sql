-- Returns true if a list of names, separated by commas or white space, has a name.
create or replace function pgq.tg_lists(list text, name text)
returns boolean
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select pg_catalog.strpos(
        ',' || pg_catalog.translate(list, E' \t\n\r\f\013', ',,,,,,') || ',',
        ',' || pg_catalog.translate(name, E' \t\n\r\f\013', ',,,,,,') || ',') > 0
$$;
