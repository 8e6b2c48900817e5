-- Returns the facts about a trigger with the templates, for format(), of the columns that it shows.
--
--   facts       with columns, names and shown
--   types       of the columns
create or replace function pgq.tg_templates(facts pgq.tg_facts, types oid[])
returns pgq.tg_facts
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    url text[] := '{}';
    names text[] := '{}';
    literals text[] := '{}';
    json text[] := '{}';
    plain boolean;
    name text;
    i integer;
begin
    facts.json_plain := cardinality(facts.shown) = facts.columns;
    foreach i in array facts.shown loop
        name := facts.names[i];
        plain := pgq.tg_is_json(types[i]);
        facts.json_plain := facts.json_plain and plain;
        literals := literals || format('%%%s$s', i);
        names := names || replace(quote_ident(name), '%', '%%');
        json := json || format('%s:%%%s$s',
            replace(to_json(name)::text, '%', '%%'), case when plain then i else facts.columns + i end);
        -- As a row of one value, whose own name is empty.
        name := substr(pgq.tg_urlencode_row('%s', row(name)::text, 1), 2);
        url := url || format('%s%%%s$s', replace(name, '%', '%%'), i);
    end loop;
    facts.url_template := array_to_string(url, '&');
    facts.sql_template := format('(%s) values (%s)', array_to_string(names, ','), array_to_string(literals, ','));
    facts.json_template := format('{%s}', array_to_string(json, ','));
    return facts;
end
$$;
