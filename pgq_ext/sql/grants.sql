-- Grants the functions to the role pgq_writer. All other roles except the owner have no privileges. Runs last.
--
-- The role is created where the installer may create roles. Where it does not exist, only the owner has privileges,
-- until the owner grants some.
do $$
declare
    own pg_catalog.regprocedure;
    is_there boolean := pg_catalog.to_regrole('pgq_writer') is not null;
begin
    if not is_there and (select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user) then
        begin
            create role pgq_writer;
        exception
            -- Another session has created the role meanwhile, for another database.
            when duplicate_object or unique_violation then null;
        end;
        is_there := pg_catalog.to_regrole('pgq_writer') is not null;
    end if;

    revoke all on schema pgq_ext from public;
    revoke all on all tables in schema pgq_ext from public;
    revoke all on all routines in schema pgq_ext from public;
    if not is_there then
        raise notice 'role pgq_writer does not exist, so only the owner of schema pgq_ext may use it';
        return;
    end if;
    grant usage on schema pgq_ext to pgq_writer;
    for own in
        select proc.oid::pg_catalog.regprocedure
        from pg_catalog.pg_proc proc join pg_catalog.pg_namespace nsp on nsp.oid operator(pg_catalog.=) proc.pronamespace
        where nsp.nspname operator(pg_catalog.=) 'pgq_ext' and proc.prokind operator(pg_catalog.=) 'f'
          and not pg_catalog.starts_with(proc.proname::pg_catalog.text, '_') and proc.proname operator(pg_catalog.<>) 'upgrade_schema'
    loop
        execute pg_catalog.format('grant execute on function %s to pgq_writer', own);
    end loop;
end
$$;
