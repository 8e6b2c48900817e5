-- Makes operators, functions and types of the catalogue again, each of which leaves a trace.
create table public.trace (what text);
create function public.caught(what pg_catalog.text) returns pg_catalog.void language plpgsql as
    'begin insert into public.trace values (what); end';
create schema evil;
create domain evil.interval as pg_catalog.text;
create domain evil.timestamptz as pg_catalog.text;
create domain evil.int4 as pg_catalog.text;
create domain evil.text as pg_catalog.int8;
create domain evil.record as pg_catalog.text;
create domain evil.bool as pg_catalog.text;
do $$
declare
    hidden record;
begin
    for hidden in
        select oprname, pg_catalog.format_type(oprleft, null) as l, pg_catalog.format_type(oprright, null) as r,
               pg_catalog.format_type(oprresult, null) as result, row_number() over () as n
        from pg_catalog.pg_operator
        where oprnamespace = 'pg_catalog'::regnamespace and oprkind = 'b'
          and oprname in ('=', '<>', '<', '>', '<=', '>=', '||', '+', '-', '*')
          and oprleft::regtype::pg_catalog.text in (
            'text', 'name', 'integer', 'bigint', 'boolean', 'interval', 'timestamp with time zone', 'oid',
            'anycompatiblearray', 'anyarray', 'anycompatible', 'anynonarray', 'double precision')
    loop
        execute format(
            'create function evil.op_%s(a pg_catalog.%s, b pg_catalog.%s) returns pg_catalog.%s language plpgsql as '
            '''begin perform public.caught(''''%s''''); return a operator(pg_catalog.%s) b; end''',
            hidden.n, (select typname from pg_catalog.pg_type where oid = hidden.l::regtype),
            (select typname from pg_catalog.pg_type where oid = hidden.r::regtype),
            (select typname from pg_catalog.pg_type where oid = hidden.result::regtype), hidden.oprname, hidden.oprname);
        execute format(
            'create operator evil.%s (function = evil.op_%s, leftarg = pg_catalog.%s, rightarg = pg_catalog.%s)',
            hidden.oprname, hidden.n, (select typname from pg_catalog.pg_type where oid = hidden.l::regtype),
            (select typname from pg_catalog.pg_type where oid = hidden.r::regtype));
    end loop;
    for hidden in
        select proname, pg_catalog.pg_get_function_arguments(p.oid) as arguments,
               pg_catalog.pg_get_function_result(p.oid) as result,
               (select string_agg('$' || i, ', ') from generate_series(1, pronargs) i) as given
        from pg_catalog.pg_proc p
        where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and not proretset and provariadic = 0
          and pronargdefaults = 0
          and proname in ('clock_timestamp', 'pg_sleep', 'pg_is_in_recovery', 'cardinality', 'set_config',
                          'pg_try_advisory_xact_lock', 'hashtextextended')
    loop
        execute format(
            'create function evil.%I(%s) returns %s language plpgsql as '
            '''begin perform public.caught(''''%s''''); %s pg_catalog.%I(%s); end''',
            hidden.proname, hidden.arguments, hidden.result, hidden.proname,
            case hidden.result when 'void' then 'perform' else 'return' end, hidden.proname, hidden.given);
    end loop;
end
$$;
