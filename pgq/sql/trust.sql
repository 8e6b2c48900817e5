-- Fails when an object in the schemas, or an object that it uses, belongs to an untrusted role: one without the rights of
-- the current role. The untrusted role could make the current role run its code (DESIGN.md, D52).
--
-- Reads only catalogues until all owners are checked. First revokes rights to create that default privileges have
-- granted. If the database sets the role of a superuser, the check is for the superuser, since any code could reset the
-- role.
do $trust$
declare
    schemas constant pg_catalog.name[] := '{pgq,pgq_coop}';
    -- The path is set before the first operator, which the session's path could find in another schema.
    given_path constant pg_catalog.text := pg_catalog.current_setting('search_path');
    path constant pg_catalog.text := pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    me constant pg_catalog.oid := (
        select r.oid from pg_catalog.pg_roles r
        where r.rolname = case
            when (select rolsuper from pg_catalog.pg_roles where rolname = session_user)
                and exists (
                    select from pg_catalog.pg_db_role_setting s
                    cross join pg_catalog.unnest(s.setconfig) given
                    where s.setrole = 0 and pg_catalog.starts_with(given, 'role=')
                      and s.setdatabase = (
                        select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
            then session_user else current_user end);
    is_super constant pg_catalog.bool := (select r.rolsuper from pg_catalog.pg_roles r where r.oid = me);
    leaked pg_catalog.text;
    untrusted pg_catalog.oid[];
    finding pg_catalog.text;
begin
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the transaction must be at isolation level read committed: what others have put into the '
            'schemas meanwhile would not be seen' using errcode = 'invalid_transaction_state';
    end if;
    for leaked in
        select pg_catalog.format('revoke create on schema %I from %s cascade', n.nspname,
                   case acl.grantee when 0 then 'public' else acl.grantee::pg_catalog.regrole::pg_catalog.text end)
        from pg_catalog.pg_namespace n
        cross join lateral pg_catalog.aclexplode(n.nspacl) acl
        where n.nspname = any (schemas) and acl.privilege_type = 'CREATE' and acl.grantee <> n.nspowner
          and pg_catalog.pg_has_role(n.nspowner, 'usage')
          and exists (
                select from pg_catalog.pg_default_acl given
                cross join lateral pg_catalog.aclexplode(given.defaclacl) given_acl
                where given.defaclrole = n.nspowner and given.defaclobjtype = 'n'
                  and given_acl.grantee = acl.grantee and given_acl.privilege_type = 'CREATE')
    loop
        execute leaked;
    end loop;

    untrusted := array(
        select r.oid from pg_catalog.pg_roles r
        where not pg_catalog.pg_has_role(r.oid, me, 'usage')
          and (is_super or not pg_catalog.pg_has_role(me, r.oid, 'usage')));
    with recursive inside (classid, objid) as (
            select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, n.oid
            from pg_catalog.pg_namespace n where n.nspname = any (schemas)
        union
            select d.classid, d.objid
            from inside i
            join pg_catalog.pg_depend d on d.refclassid = i.classid and d.refobjid = i.objid
            where d.deptype in ('a', 'i')
               or d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
               or (d.deptype = 'n' and exists (
                       select from pg_catalog.pg_inherits child
                       where child.inhrelid = d.objid and child.inhparent = d.refobjid
                         and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass))
    ), used (classid, objid, by_class, by_object) as (
        select i.classid, i.objid, null::pg_catalog.oid, null::pg_catalog.oid from inside i
        union all
        select d.refclassid, d.refobjid, i.classid, i.objid
        from inside i
        join pg_catalog.pg_depend d on d.classid = i.classid and d.objid = i.objid
    )
    select pg_catalog.concat(by_what.type || ' ' || by_what.identity || ' uses ', what.type, ' ', what.identity,
               case when u.by_object is not null then ', which' end,
               ' belongs to role ', owned.refobjid::pg_catalog.regrole)
    into finding
    from used u
    join pg_catalog.pg_shdepend owned
        on owned.dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
        and owned.classid = u.classid and owned.objid = u.objid and owned.deptype = 'o'
    cross join lateral pg_catalog.pg_identify_object(u.classid, u.objid, 0) what
    left join lateral pg_catalog.pg_identify_object(u.by_class, u.by_object, 0) by_what
        on u.by_object is not null
    where owned.refobjid = any (untrusted)
    order by u.by_object is not null, u.classid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass, 1
    limit 1;
    if finding is not null then
        raise exception '%, who could make role % run code; run this as the owner, or drop it', finding,
            me::pg_catalog.regrole using errcode = 'insufficient_privilege';
    end if;

    select pg_catalog.concat(
               case acl.grantee when 0 then 'everybody'
                   else 'role ' || acl.grantee::pg_catalog.regrole::pg_catalog.text end,
               ' may create in schema ', n.nspname)
    into finding
    from pg_catalog.pg_namespace n
    cross join lateral pg_catalog.aclexplode(n.nspacl) acl
    where n.nspname = any (schemas) and acl.privilege_type = 'CREATE'
      and (acl.grantee = 0 or acl.grantee = any (untrusted))
    limit 1;
    if finding is not null then
        raise exception '%, and so could make role % run code; revoke that right, and check the objects there',
            finding, me::pg_catalog.regrole using errcode = 'insufficient_privilege';
    end if;

    -- The tables and sequences that rows of pgq.queue name may be in any schema.
    if not schemas @> '{pgq}' or pg_catalog.to_regclass('pgq.queue') is null
        or not pg_catalog.has_table_privilege('pgq.queue', 'select')
    then
        perform pg_catalog.set_config('search_path', given_path, true);
        return;
    end if;
    select pg_catalog.concat('queue ', q.queue_name, ' uses ', what.type, ' ', what.identity, ', which belongs to role ',
                             c.relowner::pg_catalog.regrole)
    into finding
    from pgq.queue q
    cross join lateral (
        select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx union all
        select q.queue_data_pfx || '_' || part from pg_catalog.generate_series(0, q.queue_ntables - 1) part
    ) named (name)
    join pg_catalog.pg_namespace n on n.nspname = pg_catalog.split_part(named.name, '.', 1)
    join pg_catalog.pg_class c on c.relnamespace = n.oid
        and c.relname = pg_catalog.substr(named.name, pg_catalog.strpos(named.name, '.') + 1)
    cross join lateral pg_catalog.pg_identify_object(
        'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0) what
    where c.relowner = any (untrusted)
    limit 1;
    if finding is not null then
        raise exception '%, who could make role % run code; drop the queue', finding, me::pg_catalog.regrole
            using errcode = 'insufficient_privilege';
    end if;
    perform pg_catalog.set_config('search_path', given_path, true);
end
$trust$;
