-- Drops what the triggers of an older release are made of; the trigger functions themselves stay, and with them
-- the triggers on tables.
do $$
declare
    helper text;
begin
    for helper in
        select format('function %s', oid::regprocedure) from pg_catalog.pg_proc
        where pronamespace = 'pgq'::regnamespace and starts_with(proname::text, 'tg_')
        union all
        select format('type %s', oid::regtype) from pg_catalog.pg_type
        where typnamespace = 'pgq'::regnamespace and starts_with(typname::text, 'tg_') and typtype = 'c'
    loop
        execute 'drop ' || helper;
    end loop;
end
$$;
