-- Hides what functions may use without saying where it is from: types, operators, functions and tables of the same
-- names, that come first in the search path and call public.caught(). Run by an ordinary role.

create function pg_temp.caught(value pg_catalog.anyelement) returns boolean language plpgsql as $$
begin
    perform public.caught();
    return true;
end
$$;

create temp table queue (like pgq.queue);
create temp table consumer (like pgq.consumer);
create temp table subscription (like pgq.subscription);
create temp table tick (like pgq.tick);
create temp table retry_queue (ev_owner integer, ev_id bigint);
create temp table failed_queue (ev_owner integer, ev_id bigint);
create temp view pg_class as select c.* from pg_catalog.pg_class c, public.caught() where c.oid > 0;
create temp view pg_namespace as select n.* from pg_catalog.pg_namespace n, public.caught() where n.oid > 0;

do $$
declare
    hidden record;
begin
    for hidden in
        select oprname, oprleft::regtype, oprright::regtype, oprresult::regtype, row_number() over () as number
        from pg_catalog.pg_operator
        where oprnamespace = 'pg_catalog'::regnamespace
          and oprname in ('=', '<>', '<', '>', '<=', '>=', '||', '+', '-', '*', '%', '~', '!~', '^@', '&&')
          and oprleft in ('text'::regtype, 'name'::regtype, 'int4'::regtype, 'int8'::regtype, 'bool'::regtype,
                          'timestamptz'::regtype, 'interval'::regtype, 'oid'::regtype, 'numeric'::regtype,
                          'anyarray'::regtype, 'anycompatiblearray'::regtype, 'anycompatible'::regtype, 'anynonarray'::regtype)
    loop
        execute format(
            'create function evil.operator_%s(a %s, b %s) returns %s language plpgsql as '
            '''begin perform public.caught(); return a operator(pg_catalog.%s) b; end''',
            hidden.number, 'pg_catalog.' || quote_ident((select typname from pg_catalog.pg_type where oid = hidden.oprleft)),
            'pg_catalog.' || quote_ident((select typname from pg_catalog.pg_type where oid = hidden.oprright)),
            'pg_catalog.' || quote_ident((select typname from pg_catalog.pg_type where oid = hidden.oprresult)),
            hidden.oprname);
        execute format(
            'create operator evil.%s (function = evil.operator_%s, leftarg = pg_catalog.%I, rightarg = pg_catalog.%I)',
            hidden.oprname, hidden.number, (select typname from pg_catalog.pg_type where oid = hidden.oprleft),
            (select typname from pg_catalog.pg_type where oid = hidden.oprright));
    end loop;
    for hidden in
        select p.oid, proname, pronargs,
               (select string_agg('pg_catalog.' || quote_ident(typname), ', ' order by place)
                from unnest(proargtypes) with ordinality as types (type, place)
                join pg_catalog.pg_type t on t.oid = type) as arguments,
               (select 'pg_catalog.' || quote_ident(typname) from pg_catalog.pg_type where oid = prorettype) as result
        from pg_catalog.pg_proc p
        where pronamespace = 'pg_catalog'::regnamespace and provariadic = 0 and prokind = 'f' and not proretset
          and prorettype not in ('void'::regtype, 'internal'::regtype)
          and proname in ('now', 'nextval', 'setval', 'txid_current', 'current_setting', 'set_config', 'quote_ident',
                          'strpos', 'left', 'substr', 'length', 'split_part', 'to_regclass', 'hashtext',
                          'make_interval', 'array_to_string', 'txid_snapshot_xmin', 'txid_snapshot_xmax',
                          'txid_visible_in_snapshot', 'cardinality', 'row_to_json', 'starts_with', 'replace',
                          'repeat', 'regexp_replace', 'array_append', 'array_cat', 'array_replace', 'quote_literal',
                          'quote_nullable', 'to_json', 'substring')
    loop
        execute format(
            'create function evil.%I(%s) returns %s language plpgsql as '
            '''begin perform public.caught(); return pg_catalog.%1$I(%s); end''',
            hidden.proname, hidden.arguments, hidden.result,
            (select string_agg('$' || n, ', ') from generate_series(1, hidden.pronargs) n));
    end loop;
end
$$;

-- A type of a temporary schema is searched first even when the search path does not contain it.
do $$
declare
    hidden record;
begin
    for hidden in
        select typname from pg_catalog.pg_type
        where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typelem = 0
          and typname in ('text', 'name', 'oid', 'regclass', 'regrole', 'timestamptz', 'jsonb', 'txid_snapshot',
                          'int4', 'int8', 'bool')
    loop
        execute format('create domain pg_temp.%I as pg_catalog.%1$I check (pg_temp.caught(value))', hidden.typname);
    end loop;
end
$$;
create type pg_temp.shape as (
    sub_id integer, range_start bigint, range_end bigint, still_running bigint[], ended bigint[]);
create domain pg_temp.record as pg_temp.shape check (pg_temp.caught(value));
