-- Calls a maintenance function, with its argument if there is one. Returns whether the function has more to do: its result
-- is an integer above 0. Internal.
--
-- Fails if the function or its schema does not belong to this role, to a superuser, or to a role that has this role's
-- rights: any role that may change queues can write the name of its own function into `queue_extra_maint`.
create or replace function pgq._maintain(i_func_name text, i_func_arg text)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    me constant oid := pgq._maintenance_role();
    untrusted text;
    more boolean;
begin
    if not starts_with(i_func_name, 'pgq.maint_') then
        select concat(owned.what, ' belongs to role ', owned.owner::regrole) into untrusted
        from pg_namespace n
        cross join lateral (
            select concat('function ', p.oid::regprocedure), p.proowner from pg_proc p
            where p.pronamespace = n.oid and p.proname = substr(i_func_name, strpos(i_func_name, '.') + 1)
            union all
            select concat('schema ', n.nspname), coalesce((
                select d.datdba from pg_database d
                where d.datname = current_database()
                  and n.nspowner = to_regrole('pg_database_owner')::oid), n.nspowner)) owned (what, owner)
        where n.nspname = case when strpos(i_func_name, '.') = 0 then 'public' else split_part(i_func_name, '.', 1) end
          and not pg_has_role(owned.owner, me, 'usage')
        limit 1;
        if untrusted is not null then
            raise exception '%, whose code would run with the rights of role %', untrusted, me::regrole
                using errcode = 'insufficient_privilege';
        end if;
    end if;
    execute format(
        'select case when pg_typeof(result) = ''integer''::regtype then result::text::integer > 0 end'
        ' from (select %s(%s) offset 0) called (result)',
        pgq.quote_fqname(i_func_name), quote_literal(i_func_arg) || '::text')
    into more;
    return coalesce(more, false);
end
$$;
