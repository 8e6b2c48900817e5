-- Grants the functions of cooperative consumers to each role that may finish batches, with the extension as with
-- the own schema. Functions whose names begin with an underscore are internal.
do $$
declare
    own record;
    grantee text;
begin
    for own in
        select oid::pg_catalog.regprocedure as signature, pg_catalog.starts_with(proname::pg_catalog.text, '_') as internal
        from pg_catalog.pg_proc
        where pronamespace = 'pgq_coop'::pg_catalog.regnamespace::pg_catalog.oid and proname <> 'version'
    loop
        execute pg_catalog.format('revoke all on function %s from public', own.signature);
        continue when own.internal;
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::pg_catalog.regrole::pg_catalog.text end
            from pg_catalog.pg_proc, pg_catalog.aclexplode(coalesce(proacl, pg_catalog.acldefault('f', proowner))) granted
            where oid = 'pgq.finish_batch(bigint)'::pg_catalog.regprocedure::pg_catalog.oid and granted.grantee <> proowner
        loop
            execute pg_catalog.format('grant execute on function %s to %s', own.signature, grantee);
        end loop;
    end loop;
end
$$;
