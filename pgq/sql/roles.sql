-- Creates the roles that may read, write and administer queues. If the current role may not create roles, the script
-- continues without them, and their grants are skipped.
--
-- Another database of the cluster may create the roles concurrently: the script waits for it and uses its roles.
do $$
declare
    role pg_catalog.text;
begin
    foreach role in array array['pgq_reader', 'pgq_writer', 'pgq_admin'] loop
        begin
            if not exists (select from pg_catalog.pg_roles where rolname = role) then
                execute pg_catalog.format('create role %I', role);
            end if;
        exception
            when duplicate_object or unique_violation then
                null;
        end;
    end loop;
    for attempt in 1 .. 10 loop
        begin
            if not pg_catalog.pg_has_role('pgq_admin', 'pgq_reader', 'member')
                or not pg_catalog.pg_has_role('pgq_admin', 'pgq_writer', 'member')
            then
                grant pgq_reader, pgq_writer to pgq_admin;
            end if;
            exit;
        exception
            -- internal_error: another session has updated the role's row concurrently.
            when duplicate_object or unique_violation or internal_error then
                null;
        end;
    end loop;
exception
    when insufficient_privilege then
        raise warning 'roles pgq_reader, pgq_writer and pgq_admin are not created: %', sqlerrm;
end
$$;
