//! Objects that a role can create so that statements find them in place of the catalogue's.

use postgres::Client;

use crate::support::amount;

/// Creates functions and operators that record their callers. In `public` they are better matches than the catalogue's,
/// in another schema, which is to precede the catalogue, also exact ones.
pub(super) fn set(client: &mut Client, role: &str, schema: &str) {
    let exact = schema != "public";
    client
        .batch_execute(&format!(
            "create table public.caught (who pg_catalog.text, what pg_catalog.text); \
             grant insert on public.caught to public; grant usage on schema {schema} to public; set role {role}; \
             create function {schema}.trap(what pg_catalog.text) returns pg_catalog.text language plpgsql as \
                 $$ begin insert into public.caught values (current_user, what); return null; end $$; \
             {FUNCTIONS}; {VARIADIC}; {OPERATORS}; reset role"
        ).replace("TYPES", amount::pick(SOME_TYPES, TYPES)).replace("SCHEMA", schema).replace("EXACT", if exact { "true" } else { "false" }))
        .expect("the traps are set");
    // Without it, the server plans each check of dependencies for the catalogue as it was before them.
    client
        .batch_execute(
            "analyze pg_catalog.pg_depend, pg_catalog.pg_shdepend, pg_catalog.pg_proc, pg_catalog.pg_operator",
        )
        .expect("the superuser may");
}

/// Makes views that have the names of the catalogue's tables.
pub(super) fn hide_catalogue(client: &mut Client, role: &str) {
    client
        .batch_execute(&format!(
            "set role {role}; do $do$ declare name text; begin \
                 foreach name in array '{{pg_extension,pg_class,pg_proc,pg_namespace,pg_roles,pg_locks,pg_trigger,\
                     pg_database,pg_stat_activity,pg_available_extensions,pg_prepared_xacts,pg_settings}}'::text[] loop \
                     execute format('create view evil.%I as select * from pg_catalog.%1$I \
                         where evil.trap(%L) is null', name, 'view ' || name); \
                     execute format('grant select on evil.%I to public', name); \
                 end loop; end $do$; reset role"
        ))
        .expect("the views are there");
}

/// Each function of the catalogue once more, with arguments of the types that statements pass.
const FUNCTIONS: &str = r#"do $do$
declare
    made record;
begin
    for made in
        select distinct on (proname, near) proname, near, proretset, result from (
            select proname, proretset,
                   case when prorettype::pg_catalog.regtype::pg_catalog.text ~ '^any|^record|^internal|^cstring'
                       then 'pg_catalog.text' else pg_catalog.format_type(prorettype, null) end as result,
                   (select pg_catalog.string_agg(case kind when 1 then
                        case pg_catalog.format_type(typ, null)
                            when 'bigint' then 'integer' when 'double precision' then 'integer'
                            when 'regclass' then 'text' when 'oid' then 'integer' when 'name' then 'text'
                            when 'anyelement' then 'text' when 'anyarray' then 'text[]' when '"any"' then 'text'
                            when 'anycompatiblearray' then 'text[]' when 'anycompatible' then 'text'
                            when 'text' then 'text' else pg_catalog.format_type(typ, null) end
                        when 2 then case pg_catalog.format_type(typ, null)
                            when 'text' then 'name' when 'regclass' then 'oid'
                            when 'oid' then 'regclass' else pg_catalog.format_type(typ, null) end
                        else pg_catalog.format_type(typ, null) end, ', ' order by place)
                    from pg_catalog.unnest(proargtypes::pg_catalog.oid[]) with ordinality args (typ, place)) as near, kind
            from pg_catalog.pg_proc, pg_catalog.generate_series(1, 3) kind
            where pronamespace = 'pg_catalog'::pg_catalog.regnamespace and prokind = 'f' and pronargs between 0 and 4
              and provariadic = 0 and prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
              and proname ~ '^(hashtext|format|set_config|current_setting|to_reg|has_|pg_(try_)?advisory|pg_notify|pg_has|now$|clock_|txid_|nextval|setval|currval|length|left|starts|strpos|substr|split|quote|array_|unnest|generate_series|octet|convert_to|encode|sha256|make_interval|to_timestamp|obj_desc|pg_get_user|pg_size|pg_seq|pg_current|pg_is_in|current_(data|sch)|version|isfinite|txid|regexp_replace|replace|concat)'
        ) named
        where (EXACT or kind < 3) and near !~ 'any|internal|cstring|opaque' and near is not null
          and result !~ 'internal|cstring|any|trigger|handler|void'
          and (EXACT or not exists (
              select from pg_catalog.pg_proc real where real.proname = named.proname
                and real.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
                and pg_catalog.oidvectortypes(real.proargtypes) = near))
    loop
        execute pg_catalog.format('create or replace function SCHEMA.%I(%s) returns %s %s language plpgsql as %L',
            made.proname, made.near, case when made.proretset then 'setof' end, made.result,
            pg_catalog.format('declare x text := SCHEMA.trap(%L); begin return %s; end',
                'function ' || made.proname || '(' || made.near || ')', case when made.proretset then '' else 'null' end));
    end loop;
end
$do$"#;

/// Those that take any arguments.
const VARIADIC: &str = r#"do $do$
declare
    made record;
begin
    for made in
        select name, args from pg_catalog.unnest('{format,concat,num_nulls}'::pg_catalog.text[]) name,
            pg_catalog.unnest(array['text', 'text, text', 'text, integer', 'text, bigint', 'text, text, text',
                'text, name', 'text, text, integer', 'text, text, bigint']) args
        where not (EXACT is null)
    loop
        execute pg_catalog.format('create or replace function SCHEMA.%I(%s) returns text language plpgsql as %L', made.name, made.args,
            pg_catalog.format('begin return SCHEMA.trap(%L); end', 'function ' || made.name || '(' || made.args || ')'));
    end loop;
end
$do$"#;

const TYPES: &str = r#"int4,int8,float8,numeric,text,name,oid,regclass,regprocedure,regnamespace,timestamptz,interval,"text[]""#;
const SOME_TYPES: &str = r#"int4,int8,text,name,oid,timestamptz,"text[]""#;

/// Operators on all pairs of types that statements have to do with.
const OPERATORS: &str = r#"do $do$
declare
    made record;
begin
    for made in
        select name, l, r, pg_catalog.format('op_%s', pg_catalog.row_number() over ()) as proc,
               case when name = any ('{=,<>,<,<=,>,>=,~,@>,&&,^@}'::pg_catalog.text[]) then 'boolean' else l end as result
        from pg_catalog.unnest('{=,<>,<,<=,>,>=,~,||,+,-,*,@>,&&}'::pg_catalog.text[]) name,
            pg_catalog.unnest('{TYPES}'::pg_catalog.text[]) l,
            pg_catalog.unnest('{TYPES}'::pg_catalog.text[]) r
        where EXACT or not exists (
            select from pg_catalog.pg_operator where oprname = name
              and oprleft = l::pg_catalog.regtype and oprright = r::pg_catalog.regtype)
    loop
        execute pg_catalog.format('create or replace function SCHEMA.%I(%s, %s) returns %s language plpgsql as %L',
            made.proc, made.l, made.r, made.result,
            pg_catalog.format('declare x text := SCHEMA.trap(%L); begin return null; end',
                'operator ' || made.l || ' ' || made.name || ' ' || made.r));
        execute pg_catalog.format('create operator SCHEMA.%s (leftarg = %s, rightarg = %s, function = SCHEMA.%I)',
            made.name, made.l, made.r, made.proc);
    end loop;
end
$do$"#;
