-- PgQ in SQL: the schema `pgq` for servers that lack the extension. Run it in one transaction, for instance
-- with `psql --single-transaction`; it can be run again, also over an older release of itself, whose queues
-- and events stay.

-- Refuses to touch the extension, a newer release, and what is not PgQ.
do $$
declare
    release text := substring(pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq'), 'pg_namespace')
                              from '^PgQ in SQL, release ([0-9]{1,6}),');
    schema_owner oid := (select nspowner from pg_catalog.pg_namespace where nspname = 'pgq');
begin
    -- Of two installations at once the second one waits for the first.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgq install', 0));
    if exists (select from pg_catalog.pg_extension where extname = 'pgq') then
        raise exception 'the extension pgq is installed, which this schema cannot replace';
    elsif release::integer > 1 then
        raise exception 'schema pgq is of a newer release: %', release;
    elsif release is null and (
        exists (select from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq'))
        or exists (select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace('pgq')))
    then
        raise exception 'there is a schema pgq that is neither the extension''s nor this one';
    elsif schema_owner <> (select oid from pg_catalog.pg_roles where rolname = current_user) then
        -- Who owns the tables can make the owner of the functions run code.
        raise exception 'schema pgq belongs to role %, who alone can install into it', schema_owner::pg_catalog.regrole;
    end if;
end
$$;
