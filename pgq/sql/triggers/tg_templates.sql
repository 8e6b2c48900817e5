-- Returns the facts about a trigger with the templates, for format(), of the columns that it shows.
--
--   facts       with columns, names and shown
--   types       of the columns
create or replace function pgq.tg_templates(facts pgq.tg_facts, types oid[])
returns pgq.tg_facts
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    url text[] := '{}';
    names text[] := '{}';
    literals text[] := '{}';
    json text[] := '{}';
    quoted text[] := '{}';
    plain boolean;
    numbers boolean := cardinality(facts.shown) = facts.columns;
    name text;
    i integer;
begin
    foreach i in array facts.shown loop
        name := facts.names[i];
        plain := pgq.tg_is_json(types[i]);
        if not plain then
            quoted := quoted || name;
            numbers := numbers and name ~ '^[A-Za-z0-9_]+$'
                and types[i] = any ('{float4,float8,numeric}'::regtype[]);
        end if;
        literals := literals || format('%%%s$L', i);
        names := names || replace(facts.idents[i], '%', '%%');
        json := json || format('%s:%%%s$s',
            replace(to_json(name)::text, '%', '%%'), case when plain then i else facts.columns + i end);
        name := pgq.tg_urlencode_row('%s', row(name)::text, 1);
        url := url || format('%s=%%%s$s', replace(name, '%', '%%'), i);
    end loop;
    facts.url_template := array_to_string(url, '&');
    facts.sql_template := format(
        '(%s) values (%s)', array_to_string(names, ','), array_to_string(literals, ','));
    facts.json_plain := quoted = '{}' and cardinality(facts.shown) = facts.columns;
    facts.json_numbers := case when numbers then
        format('([{,]"(?:%s)":)([-+0-9.eE]+)', array_to_string(quoted, '|')) end;
    facts.json_template := format('{%s}', array_to_string(json, ','));
    return facts;
end
$$;
