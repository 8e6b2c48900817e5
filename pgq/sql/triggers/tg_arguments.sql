-- Returns the facts about a trigger except the types of its expressions. Fails when an argument is wrong.
--
--   relation    the trigger's table
--   arguments   the trigger's arguments, of which the first is the queue's name
create or replace function pgq.tg_arguments(relation oid, arguments text[])
returns pgq.tg_facts
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    facts pgq.tg_facts;
    keys text[];
    ignored text;
    name text;
    value text;
begin
    facts.names := pgq.tg_names(relation);
    facts.columns := cardinality(facts.names);
    keys := array(
        select a.attname::text
        from pg_index i, unnest(i.indkey) with ordinality as key (number, position), pg_attribute a
        where i.indrelid = relation and i.indisprimary
          and a.attrelid = relation and a.attnum = key.number
        order by key.position);
    facts.key_list := array_to_string(keys, ',');
    facts.key_json := to_json(keys);

    for i in array_lower(arguments, 1) + 1 .. array_upper(arguments, 1) loop
        name := split_part(arguments[i], '=', 1);
        value := substr(arguments[i], length(name) + 2);
        case
            when arguments[i] = 'SKIP' then facts.skip := true;
            when arguments[i] = 'backup' then facts.backup := true;
            when arguments[i] = 'deny' then facts.deny := true;
            when arguments[i] ^@ 'ignore=' then ignored := value;
            when arguments[i] ^@ 'pkey=' then
                facts.key_list := value;
                facts.key_json := to_json(string_to_array(nullif(value, ''), ','));
                facts.custom_keys := true;
            when arguments[i] ~ '^(when|ev_type|ev_data|ev_extra[1-4])=' then
                facts.fields := facts.fields || array_position(
                    '[0:6]={when,ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,ev_extra4}'::text[], name);
                facts.queries := facts.queries || array[pgq.tg_query(value, facts.names)];
            else
                raise exception 'bad param to pgq trigger' using errcode = 'internal_error';
        end case;
    end loop;
    facts.keyless := facts.key_list = '';
    facts.key_json := coalesce(facts.key_json, '[""]');
    facts.ignores := ignored is not null;
    facts := pgq.tg_columns(facts, relation, ignored);
    facts.custom := coalesce(facts.magic::text, facts.bad_magic) is not null or facts.fields is not null;
    facts.checked := facts.keyless or coalesce(facts.skip, facts.deny) is not null;
    return facts;
end
$$;
