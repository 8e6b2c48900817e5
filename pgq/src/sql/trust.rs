//! The statements that find out whose code would be run. They read nothing but catalogues, and name every operator with its
//! schema, since nothing is known of the search path yet.

use crate::names::bytes;

/// The role whose rights other people's code would have: the current one, or a superuser whose session the database has
/// given another role, which any code can set back.
macro_rules! me {
    () => {
        "(case when (select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) session_user) \
             and exists (select from pg_catalog.pg_db_role_setting cross join pg_catalog.unnest(setconfig) given \
                 where setrole operator(pg_catalog.=) 0::pg_catalog.oid \
                 and setdatabase operator(pg_catalog.=) (select oid from pg_catalog.pg_database \
                     where datname operator(pg_catalog.=) pg_catalog.current_database()) \
                 and pg_catalog.starts_with(given, 'role=')) \
             then session_user else current_user end)"
    };
}

/// A role that does not have the rights of this one, given the column with its id.
macro_rules! untrusted {
    ($owner:literal) => {
        concat!(
            "not pg_catalog.pg_has_role(",
            $owner,
            ", (select oid from pg_catalog.pg_roles where rolname operator(pg_catalog.=) ",
            me!(),
            "), 'usage')"
        )
    };
}

/// Makes the query for the first object in schemas $1, or used by one of their tables, that belongs to an untrusted role,
/// under a condition: what it is, the role, and this one.
macro_rules! stranger {
    ($condition:expr) => {
        concat!(
            "with inside (classid, objid) as ( \
                 select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid \
                     from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) any ($1) and ",
            $condition,
            " union select d.classid, d.objid from pg_catalog.pg_namespace n join pg_catalog.pg_depend d \
                     on d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid \
                     and d.refobjid operator(pg_catalog.=) n.oid \
                     where n.nspname operator(pg_catalog.=) any ($1) and ",
            $condition,
            "), parts (classid, objid) as ( \
                 select classid, objid from inside \
                 union select d.classid, d.objid from inside i join pg_catalog.pg_depend d \
                     on d.refclassid operator(pg_catalog.=) i.classid and d.refobjid operator(pg_catalog.=) i.objid \
                     and d.deptype operator(pg_catalog.=) any ('{a,i}'::pg_catalog.\"char\"[])), \
             used (classid, objid) as ( \
                 select classid, objid from parts \
                 union select d.refclassid, d.refobjid from parts p join pg_catalog.pg_depend d \
                     on d.classid operator(pg_catalog.=) p.classid and d.objid operator(pg_catalog.=) p.objid) \
             select pg_catalog.concat(what.type, ' ', what.identity), \
                 owned.refobjid::pg_catalog.regrole::pg_catalog.text, pg_catalog.quote_ident(",
            me!(),
            "::pg_catalog.text) \
             from used u join pg_catalog.pg_shdepend owned on owned.classid operator(pg_catalog.=) u.classid \
                 and owned.objid operator(pg_catalog.=) u.objid \
                 and owned.deptype operator(pg_catalog.=) 'o'::pg_catalog.\"char\" \
                 and owned.dbid operator(pg_catalog.=) (select oid from pg_catalog.pg_database \
                     where datname operator(pg_catalog.=) pg_catalog.current_database()) \
             cross join lateral pg_catalog.pg_identify_object(u.classid, u.objid, 0) what \
             where ",
            untrusted!("owned.refobjid"),
            " order by u.classid operator(pg_catalog.<>) \
                 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid limit 1"
        )
    };
}

/// $1 schemas. The first object in them, or used by one of their tables, that belongs to an untrusted role. No row: there is
/// none.
pub(crate) const STRANGER: &str = stranger!("true");

/// As [`STRANGER`], for a superuser; no row for any other role.
pub(crate) const STRANGER_TO_SUPERUSER: &str = stranger!(concat!(
    "(select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) ",
    me!(),
    ")"
));

/// As [`STRANGER`], of schema `pgq` alone and the function that ticks.
pub(crate) const STRANGERS_SCHEMA: &str = concat!(
    "select what, owner::pg_catalog.regrole::pg_catalog.text, pg_catalog.quote_ident(",
    me!(),
    "::pg_catalog.text) from ( \
         select 'schema pgq', nspowner from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) 'pgq' \
         union all select 'function pgq.ticker(text)', proowner from pg_catalog.pg_proc \
             where oid operator(pg_catalog.=) pg_catalog.to_regprocedure('pgq.ticker(text)')::pg_catalog.oid) \
         owned (what, owner) \
     where ",
    untrusted!("owner"),
    " limit 1"
);

/// $1 name of a function as a queue's configuration has it. Who is not trusted and could have it run something: what
/// belongs to that role, and the role. No row: nobody.
pub(crate) const STRANGERS_FUNCTION: &str = concat!(
    "select what, owner::pg_catalog.regrole::pg_catalog.text, pg_catalog.quote_ident(",
    me!(),
    "::pg_catalog.text) \
     from (select case when pg_catalog.strpos($1, '.') operator(pg_catalog.=) 0 then 'public' \
             else pg_catalog.split_part($1, '.', 1) end, \
         pg_catalog.substr($1, pg_catalog.strpos($1, '.') operator(pg_catalog.+) 1)) named (namespace, name) \
     join pg_catalog.pg_namespace n on n.nspname operator(pg_catalog.=) named.namespace \
     cross join lateral (select pg_catalog.concat('function ', p.oid::pg_catalog.regprocedure), p.proowner \
             from pg_catalog.pg_proc p where p.pronamespace operator(pg_catalog.=) n.oid \
                 and p.proname operator(pg_catalog.=) named.name \
         union all select pg_catalog.concat('schema ', n.nspname), coalesce( \
             (select datdba from pg_catalog.pg_database \
                 where datname operator(pg_catalog.=) pg_catalog.current_database() \
                 and n.nspowner operator(pg_catalog.=) pg_catalog.to_regrole('pg_database_owner')::pg_catalog.oid), \
             n.nspowner)) owned (what, owner) \
     where ",
    untrusted!("owner"),
    " limit 1"
);

/// A schema whose functions `pgq.maint_operations` may call and that belongs to an untrusted role.
pub(crate) const STRANGERS_NODE: &str = concat!(
    "select pg_catalog.concat('schema ', nspname), nspowner::pg_catalog.regrole::pg_catalog.text, \
         pg_catalog.quote_ident(",
    me!(),
    "::pg_catalog.text) \
     from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) any ('{pgq_node,londiste}'::pg_catalog.name[]) and ",
    untrusted!("nspowner"),
    " limit 1"
);

/// What maintenance is due, as [`MAINTENANCE`](crate::sql::MAINTENANCE), of PgQ alone.
pub(crate) const MAINTENANCE_ALONE: &str = crate::sql::operations!(
    "( \
         select 'pgq.maint_rotate_tables_step1', queue_name from pgq.queue \
             where queue_switch_step2 is not null and pg_catalog.now() operator(pg_catalog.>) \
                 (queue_switch_time operator(pg_catalog.+) queue_rotation_period) \
         union all select 'pgq.maint_rotate_tables_step2', null \
         union all select name, queue_name from pgq.queue cross join pg_catalog.unnest(queue_extra_maint) name \
         union all select 'vacuum', name from pgq.maint_tables_to_vacuum() name) due (func_name, func_arg)"
);
