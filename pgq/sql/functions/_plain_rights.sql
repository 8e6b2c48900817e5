-- Undoes the changes that default privileges made to the rights on a schema and its objects. Other grants follow
-- afterwards (DESIGN.md, D54). With a pattern, changes only objects whose names match it. Returns the number of changed
-- rights.
create or replace function pgq._plain_rights(x_schema text, x_pattern text)
returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    step text;
    path text;
    steps integer := 0;
begin
    if not exists (select from pg_default_acl) then
        return 0;
    end if;
    for step in
        with object (objtype, plaintype, kind, name, owner, acl, namespace) as (
            select 'n'::"char", 'n'::"char", 'schema', quote_ident(nspname), nspowner, nspacl, oid
            from pg_namespace where nspname = x_schema and x_pattern = ''
            union all
            select case relkind when 'S' then 'S' else 'r' end::"char", case relkind when 'S' then 's' else 'r' end::"char",
                   case relkind when 'S' then 'sequence' else 'table' end,
                   format('%I.%I', x_schema, relname), relowner, relacl, relnamespace
            from pg_class
            where relnamespace = to_regnamespace(quote_ident(x_schema)) and relname ~ x_pattern
              and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            union all
            select 'f', 'f', 'routine', oid::regprocedure::text, proowner, proacl, pronamespace
            from pg_proc
            where pronamespace = to_regnamespace(quote_ident(x_schema)) and proname ~ x_pattern
            union all
            select 'T', 'T', 'type', format('%I.%I', x_schema, typname), typowner, typacl, typnamespace
            from pg_type
            where typnamespace = to_regnamespace(quote_ident(x_schema)) and typname ~ x_pattern
              and typtype <> 'm' and not (typelem <> 0 and typlen = -1)
              and (typrelid = 0 or (select relkind from pg_class where oid = typrelid) = 'c')
        ), entry (place, name, kind, owner, grantee, privilege) as (
            select 'plain', name, kind, owner, a.grantee, a.privilege_type
            from object cross join aclexplode(acldefault(plaintype, owner)) a
            union
            select 'now', name, kind, owner, a.grantee, a.privilege_type
            from object cross join aclexplode(coalesce(acl, acldefault(plaintype, owner))) a
            union
            select case defaclnamespace when 0 then 'given' else 'added' end, name, kind, owner, a.grantee,
                   a.privilege_type
            from object
            join pg_default_acl on defaclrole = owner and defaclobjtype = objtype and defaclnamespace in (0, namespace)
            cross join aclexplode(defaclacl) a
        ), judged (name, kind, owner, grantee, privilege, places) as (
            select name, kind, owner, grantee, privilege, array_agg(place)
            from entry group by name, kind, owner, grantee, privilege
        )
        select format(case when places @> '{now}' then 'revoke %s on %s %s from %s cascade'
                           else 'grant %s on %s %s to %s' end,
                      privilege, kind, name, case grantee when 0 then 'public' else grantee::regrole::text end)
        from judged j
        where pg_has_role(owner, 'usage')
          and ((places @> '{now}' and not places @> '{plain}' and places && '{given,added}' and grantee <> owner)
            or (places @> '{plain}' and not places @> '{now}' and not places @> '{given}' and exists (
                    select from pg_default_acl
                    where defaclrole = j.owner and defaclnamespace = 0 and defaclobjtype =
                        case kind when 'schema' then 'n' when 'table' then 'r' when 'sequence' then 'S'
                            when 'routine' then 'f' else 'T' end::"char")))
    loop
        -- An event trigger may name objects without their schema.
        if steps = 0 and exists (select from pg_event_trigger where evtenabled <> 'D') then
            path := (
                select substr(given, 13)
                from pg_db_role_setting cross join unnest(setconfig) given
                where setrole = 0
                  and setdatabase in (0, (select oid from pg_database where datname = current_database()))
                  and starts_with(given, 'search_path=') and strpos(given, 'pg_temp') = 0
                order by setdatabase desc limit 1);
            perform set_config('search_path', concat_ws(
                ', ', 'pg_catalog', nullif(coalesce(path, '"$user", public'), ''), 'pg_temp'), true);
        end if;
        steps := steps + 1;
        execute step;
    end loop;
    return steps;
end
$$;

revoke all on function pgq._plain_rights(text, text) from public;
