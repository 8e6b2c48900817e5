-- Gives one table the grants that another has, besides its own. Returns 1.
create or replace function pgq._grant_perms_from(
    src_schema text, src_table text, dst_schema text, dst_table text)
returns integer
language plpgsql strict set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    given record;
begin
    for given in
        select coalesce(quote_ident(pg_get_userbyid(nullif(acl.grantee, 0))), 'public') as role,
               acl.is_grantable or acl.grantee = tab.relowner as may_grant,
               string_agg(acl.privilege_type, ', ') as privileges
        from pg_class tab
        cross join aclexplode(tab.relacl) acl
        where tab.relname = src_table
          and tab.relnamespace = (select oid from pg_namespace where nspname = src_schema)
        group by 1, 2
    loop
        perform pgq._ddl(format('grant %s on %I.%I to %s', given.privileges, dst_schema, dst_table, given.role)
            || case when given.may_grant then ' with grant option' else '' end);
    end loop;
    return 1;
end
$$;
