//! Whose objects may be installed over, ticked and called: those of roles that have the rights of this one anyway.

use dbscript::Context;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::error::Error;

const CHECK: &str = include_str!("../../sql/trust.sql");
const RIGHTS: &str = include_str!("../../sql/functions/_plain_rights.sql");

/// Returns the statement that fails where something in the schemas belongs to a role that could make the role that
/// runs it run its code, or uses something that does; for a transaction that installs, before and after it does.
///
/// A role trusts itself, superusers, roles that have its rights, and unless it is a superuser those whose rights it
/// has. The statement also takes back what default privileges let others create in the schemas. It needs the isolation
/// level `read committed`.
pub fn trust_check(schemas: &[&str]) -> String {
    CHECK.replace("'{pgq,pgq_coop}'", &format!("'{{{}}}'", schemas.join(",")))
}

/// Returns the statements that give a schema of the running role, and all that is in it, the rights that
/// PostgreSQL gives where no default privileges are set; for a transaction that grants afterwards what it means to.
pub fn plain_rights(schema: &str) -> String {
    let function = RIGHTS.replace("pgq._plain_rights", &format!("{schema}._plain_rights"));
    format!(
        "{function}\nselect {schema}._plain_rights('{schema}', '');\n\
         drop function {schema}._plain_rights(text, text);"
    )
}

/// Fails where something in `pgq` or `pgq_coop` belongs to a role that this one does not trust.
pub(super) fn require(transaction: &mut Transaction<'_>, what: &str) -> Result<(), Error> {
    transaction.batch_execute(CHECK).map_err(|error| Error::failed(what).caused_by(error))
}

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

/// Makes the query for the first object in schemas $1, or used by one of their tables, that belongs to an untrusted
/// role, under a condition: what it is, the role, and this one.
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
                 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, u.objid limit 1"
        )
    };
}

/// As [`STRANGER`], for a superuser; no row for any other role.
const STRANGER_TO_SUPERUSER: &str = stranger!(concat!(
    "(select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) ",
    me!(),
    ")"
));

/// Fails where this role is a superuser and something in the schemas, or used by one of their tables, belongs to a role
/// that is none: calling a function of such a schema, or writing to a table, would run that role's code with the rights
/// of the superuser. Does nothing for any other role, which gives a schema's owner no more than its own rights.
///
/// A superuser whose role the setting `role` of the database has changed counts as one.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub fn require_superusers(client: &mut impl GenericClient, schemas: &[&str]) -> Result<(), Error> {
    find(client, STRANGER_TO_SUPERUSER, &[(&schemas, Type::NAME_ARRAY)])
}

/// What a superuser calls functions of, as every role does.
const CALLED: [&str; 2] = ["pgq", "pgq_coop"];

/// As [`require_superusers`], of what a consumer or a producer calls.
pub(crate) fn require_callable(client: &mut impl GenericClient) -> Result<(), Error> {
    require_superusers(client, &CALLED)
}

/// Has every connection to a queue's database fail where a superuser would run a lesser role's code in calling PgQ
/// ([`require_superusers`]), or a schema stands before the catalogue in the search path. Consumers of this crate do so.
pub fn check_connections(cx: &mut Context, db: &str) {
    cx.databases().check_search_path();
    cx.databases().set_check(db, "cannot use schema `pgq`", |client| Ok(require_callable(client)?));
}

/// What is looked at before code of the database is run.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// All of schema `pgq`.
    All,
    /// The schema and the function that ticks, which takes next to no time.
    Schema,
    /// A function that a queue's configuration names.
    Function(&'a str),
    /// The schemas that maintenance takes functions of.
    Node,
}

/// $1 schemas. The first object in them, or used by one of their tables, that belongs to an untrusted role. No row:
/// there is none.
const STRANGER: &str = stranger!("true");

/// As [`STRANGER`], of schema `pgq` alone and the function that ticks.
const STRANGERS_SCHEMA: &str = concat!(
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
const STRANGERS_FUNCTION: &str = concat!(
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
const STRANGERS_NODE: &str = concat!(
    "select pg_catalog.concat('schema ', nspname), nspowner::pg_catalog.regrole::pg_catalog.text, \
         pg_catalog.quote_ident(",
    me!(),
    "::pg_catalog.text) \
     from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) any ('{pgq_node,londiste}'::pg_catalog.name[]) and ",
    untrusted!("nspowner"),
    " limit 1"
);

/// Fails where this role would run code of a role that does not have its rights.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub(crate) fn require_trusted(client: &mut impl GenericClient, what: Trust<'_>) -> Result<(), Error> {
    match &what {
        Trust::All => find(client, STRANGER, &[(&["pgq"].as_slice(), Type::NAME_ARRAY)]),
        Trust::Schema => find(client, STRANGERS_SCHEMA, &[]),
        Trust::Function(name) => find(client, STRANGERS_FUNCTION, &[(name, Type::TEXT)]),
        Trust::Node => find(client, STRANGERS_NODE, &[]),
    }
}

/// Fails where a statement finds what belongs to a role that is not trusted with this one's rights.
fn find(
    client: &mut impl GenericClient,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<(), Error> {
    let row = client.query_typed_opt(statement, values);
    let row = row.map_err(|error| Error::failed("cannot find out whose schema `pgq` is").caused_by(error))?;
    let Some(row) = row else { return Ok(()) };
    let (what, owner, role): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
    Err(Error::untrusted(format!(
        "{what} belongs to role `{owner}`, whose code would run with the rights of `{role}`; \
         connect as `{owner}`, or let a superuser or a role with these rights own it"
    )))
}
