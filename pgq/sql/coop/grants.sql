-- Gives whoever may finish batches the functions of cooperative consumers, so that they follow whichever PgQ
-- is there. Functions whose names begin with an underscore are for the others alone.
do $$
declare
    own record;
    grantee text;
begin
    for own in
        select oid::regprocedure as signature, starts_with(proname::text, '_') as internal
        from pg_catalog.pg_proc
        where pronamespace = 'pgq_coop'::regnamespace and proname <> 'version'
    loop
        execute format('revoke all on function %s from public', own.signature);
        continue when own.internal;
        for grantee in
            select case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end
            from pg_catalog.pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) granted
            where oid = 'pgq.finish_batch(bigint)'::regprocedure and granted.grantee <> proowner
        loop
            execute format('grant execute on function %s to %s', own.signature, grantee);
        end loop;
    end loop;
end
$$;
