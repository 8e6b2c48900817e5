//! The statements that find out whose code would be run. They read nothing but catalogues.

use crate::names::bytes;

/// A role that does not have the rights of this one, given the column with its id.
macro_rules! untrusted {
    ($owner:literal) => {
        concat!(
            "not pg_catalog.pg_has_role(",
            $owner,
            ", (select oid from pg_catalog.pg_roles where rolname = current_user), 'usage')"
        )
    };
}

/// The first object in schema `pgq`, or used by one of its tables, that belongs to an untrusted role: what it is, the
/// role, and this one. No row: there is none.
pub(crate) const STRANGER: &str = concat!(
    "with inside (classid, objid) as ( \
         select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid \
             from pg_catalog.pg_namespace where nspname = 'pgq' \
         union select d.classid, d.objid from pg_catalog.pg_depend d \
             where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
             and d.refobjid = pg_catalog.to_regnamespace('pgq')), \
     parts (classid, objid) as ( \
         select classid, objid from inside \
         union select d.classid, d.objid from inside i join pg_catalog.pg_depend d \
             on d.refclassid = i.classid and d.refobjid = i.objid and d.deptype in ('a', 'i')), \
     used (classid, objid) as ( \
         select classid, objid from parts \
         union select d.refclassid, d.refobjid from parts p join pg_catalog.pg_depend d \
             on d.classid = p.classid and d.objid = p.objid) \
     select pg_catalog.concat(what.type, ' ', what.identity), owned.refobjid::pg_catalog.regrole::pg_catalog.text, \
         pg_catalog.quote_ident(current_user) \
     from used u join pg_catalog.pg_shdepend owned on owned.classid = u.classid and owned.objid = u.objid \
         and owned.deptype = 'o' and owned.dbid = (select oid from pg_catalog.pg_database \
             where datname = pg_catalog.current_database()) \
     cross join lateral pg_catalog.pg_identify_object(u.classid, u.objid, 0) what \
     where ",
    untrusted!("owned.refobjid"),
    " order by u.classid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass limit 1"
);

/// As [`STRANGER`], of the schema alone and the function that ticks.
pub(crate) const STRANGERS_SCHEMA: &str = concat!(
    "select what, owner::pg_catalog.regrole::pg_catalog.text, pg_catalog.quote_ident(current_user) from ( \
         select 'schema pgq', nspowner from pg_catalog.pg_namespace where nspname = 'pgq' \
         union all select 'function pgq.ticker(text)', proowner from pg_catalog.pg_proc \
             where oid = pg_catalog.to_regprocedure('pgq.ticker(text)')) owned (what, owner) \
     where ",
    untrusted!("owner"),
    " limit 1"
);

/// $1 name of a function as a queue's configuration has it. Who is not trusted and could have it run something: what
/// belongs to that role, and the role. No row: nobody.
pub(crate) const STRANGERS_FUNCTION: &str = concat!(
    "select what, owner::pg_catalog.regrole::pg_catalog.text, pg_catalog.quote_ident(current_user) \
     from (select case when pg_catalog.strpos($1, '.') = 0 then 'public' \
             else pg_catalog.split_part($1, '.', 1) end, \
         pg_catalog.substr($1, pg_catalog.strpos($1, '.') + 1)) named (namespace, name) \
     join pg_catalog.pg_namespace n on n.nspname = named.namespace \
     cross join lateral (select 'function ' || p.oid::pg_catalog.regprocedure::pg_catalog.text, p.proowner \
             from pg_catalog.pg_proc p where p.pronamespace = n.oid and p.proname = named.name \
         union all select 'schema ' || n.nspname, coalesce( \
             (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database() \
                 and n.nspowner = pg_catalog.to_regrole('pg_database_owner')), n.nspowner)) owned (what, owner) \
     where ",
    untrusted!("owner"),
    " limit 1"
);

/// A schema whose functions `pgq.maint_operations` may call and that belongs to an untrusted role.
pub(crate) const STRANGERS_NODE: &str = concat!(
    "select 'schema ' || nspname, nspowner::pg_catalog.regrole::pg_catalog.text, \
         pg_catalog.quote_ident(current_user) \
     from pg_catalog.pg_namespace where nspname in ('pgq_node', 'londiste') and ",
    untrusted!("nspowner"),
    " limit 1"
);

/// What maintenance is due, as [`MAINTENANCE`](crate::sql::MAINTENANCE), of PgQ alone.
pub(crate) const MAINTENANCE_ALONE: &str = crate::sql::operations!(
    "( \
         select 'pgq.maint_rotate_tables_step1', queue_name from pgq.queue \
             where queue_switch_step2 is not null and pg_catalog.now() > queue_switch_time + queue_rotation_period \
         union all select 'pgq.maint_rotate_tables_step2', null \
         union all select name, queue_name from pgq.queue cross join pg_catalog.unnest(queue_extra_maint) name \
         union all select 'vacuum', name from pgq.maint_tables_to_vacuum() name) due (func_name, func_arg)"
);
