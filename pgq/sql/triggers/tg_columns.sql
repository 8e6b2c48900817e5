-- Returns the facts about a trigger, completed by those that depend on its columns.
--
--   facts       with columns, names and key_list
--   relation    the trigger's table
--   ignored     list of columns to ignore, or null
create or replace function pgq.tg_columns(facts pgq.tg_facts, relation oid, ignored text)
returns pgq.tg_facts
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    types constant oid[] := pgq.tg_types(relation, facts.names);
    collations constant oid[] := array(
        select (select a.attcollation from pg_attribute a where a.attrelid = relation and a.attname = n.name)
        from unnest(facts.names) with ordinality as n (name, position) order by n.position);
    magic_names constant text[] := '{type,data,extra1,extra2,extra3,extra4}';
    all_columns constant integer[] := array(select generate_series(1, facts.columns));
    magic integer[] := array(select i from unnest(all_columns) i where facts.names[i] ^@ '_pgq_ev_');
begin
    facts.all_columns := all_columns;
    facts.idents := array(select quote_ident(facts.names[i]) from unnest(all_columns) i);
    facts.shown := array(
        select i from unnest(all_columns) i
        where i <> all (magic) and pgq.tg_lists(ignored, facts.names[i]) is not true);
    facts.keys := array(
        select i from unnest(all_columns) i
        where i <> all (magic) and pgq.tg_lists(facts.key_list, facts.names[i]));
    facts.compared := case when ignored is null then facts.keys else all_columns end;
    facts.key_first := facts.compared = '{1}';
    facts.numerics := array(select i from unnest(all_columns) i where types[i] = 'numeric'::regtype);
    facts.loose := array(
        select i from unnest(all_columns) i
        where types[i] <> 'numeric'::regtype and pgq.tg_is_loose(types[i], collations[i]));

    facts.magic := nullif(array(
        select (select i from unnest(magic) i where facts.names[i] = '_pgq_ev_' || name)
        from unnest(magic_names) name),
        array_fill(null::integer, '{6}'));
    facts.bad_magic := (
        select facts.names[i] from unnest(magic) i
        where substr(facts.names[i], 9) <> all (magic_names) order by i limit 1);
    return pgq.tg_templates(facts, types);
end
$$;
