//! Checks of the owners of PgQ's objects: this role runs only code of roles that have its rights anyway.

use dbscript::param::{Param, text};
use dbscript::{Context, Databases, Session, ready};
use postgres::types::Type;
use postgres::{GenericClient, Transaction};

use crate::error::Error;

const CHECK: &str = include_str!("../../sql/trust.sql");
const RIGHTS: &str = include_str!("../../sql/functions/_plain_rights.sql");

/// Returns the statement that fails if an object in the schemas, or an object that one of them uses, belongs to an
/// untrusted role. An installing transaction runs it before and after the installation.
///
/// A role trusts itself, superusers, roles that have its rights, and, unless it is a superuser, roles whose rights it
/// has. An untrusted role could make the installing role run its code.
///
/// The statement also revokes the right to create objects in the schemas that default privileges have granted to
/// others. It needs the isolation level `read committed`.
pub fn trust_check(schemas: &[&str]) -> String {
    CHECK.replace("'{pgq,pgq_coop}'", &format!("'{{{}}}'", schemas.join(",")))
}

/// Returns the statements that reset the privileges on a schema and its objects to PostgreSQL's built-in defaults, as
/// if no default privileges were set. The schema must belong to the current role. Intended grants follow afterwards.
pub fn reset_privileges(schema: &str) -> String {
    let function = RIGHTS.replace("pgq._plain_rights", &format!("{schema}._plain_rights"));
    format!(
        "{function}\nselect {schema}._plain_rights('{schema}', '');\n\
         drop function {schema}._plain_rights(text, text);"
    )
}

/// Fails if an object in `pgq` or `pgq_coop` belongs to a role that this one does not trust.
pub(super) fn require(transaction: &mut Transaction<'_>, what: &str) -> Result<(), Error> {
    transaction.batch_execute(CHECK).map_err(|error| Error::failed(what).caused_by(error))
}

/// The role whose rights called code has: the current role, or the session's superuser if the database's setting `role`
/// has changed the role, since any code can reset that.
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

/// The condition that a role does not have the rights of this one. `$owner` is the column with the role's id.
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
/// role. The query returns the object, its owner, and this role. It returns no row unless `$condition` holds.
macro_rules! untrusted_object {
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

/// As [`UNTRUSTED_OBJECT`], for a superuser. No row for any other role.
const UNTRUSTED_BY_SUPERUSER: &str = untrusted_object!(concat!(
    "(select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) ",
    me!(),
    ")"
));

/// Fails if this role is a superuser and an object in the schemas, or used by one of their tables, belongs to a role
/// that is not a superuser. Calling a function of such a schema, or writing to its tables, would run that role's code
/// with the rights of the superuser.
///
/// Does nothing for any other role. A superuser whose role is changed by the database's setting `role` still counts as
/// a superuser.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub fn require_trusted_owners(client: &mut impl GenericClient, schemas: &[&str]) -> Result<(), Error> {
    ready(refuse_found(client, UNTRUSTED_BY_SUPERUSER, &[(&schemas, Type::NAME_ARRAY)]))
}

/// The schemas whose functions consumers and producers call.
const CALLED_SCHEMAS: [&str; 2] = ["pgq", "pgq_coop"];

/// Checks the schemas whose functions consumers and producers call, as [`require_trusted_owners`] does.
pub(crate) async fn require_callable(session: &mut impl Session) -> Result<(), Error> {
    let values = [(&CALLED_SCHEMAS.as_slice() as _, Type::NAME_ARRAY)];
    refuse_found(session, UNTRUSTED_BY_SUPERUSER, &values).await
}

/// Adds checks to every connection to a queue's database. A connection fails if a superuser would run another role's
/// code by calling PgQ ([`require_trusted_owners`]), or if a schema precedes `pg_catalog` in the search path. The
/// consumers of this crate add these checks themselves.
pub fn check_connections(cx: &mut Context, db: &str) {
    check_databases(cx.databases(), db);
}

/// As [`check_connections`], for connections outside of a loop's context.
pub(crate) fn check_databases(databases: &mut Databases, db: &str) {
    databases.check_search_path();
    databases.set_check(db, "cannot use schema `pgq`", |client| Ok(ready(require_callable(client))?));
}

/// The objects whose owners are checked before code of the database is run.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// All of schema `pgq`.
    All,
    /// Schema `pgq` itself and the function `pgq.ticker(text)`, a quick check.
    Schema,
    /// A function in a queue's setting `extra_maint`.
    Function(&'a str),
    /// The schemas `pgq_node` and `londiste`, whose functions maintenance may call.
    Node,
}

/// $1 schemas. Returns the first object in them, or used by one of their tables, that belongs to an untrusted role.
const UNTRUSTED_OBJECT: &str = untrusted_object!("true");

/// As [`UNTRUSTED_OBJECT`], for schema `pgq` itself and the function `pgq.ticker(text)`.
const UNTRUSTED_SCHEMA: &str = concat!(
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

/// $1 name of a function, as in a queue's setting `extra_maint`. As [`UNTRUSTED_OBJECT`], for the function and its
/// schema.
const UNTRUSTED_FUNCTION: &str = concat!(
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

/// As [`UNTRUSTED_OBJECT`], for the schemas `pgq_node` and `londiste`, whose functions `pgq.maint_operations` lists.
const UNTRUSTED_NODE: &str = concat!(
    "select pg_catalog.concat('schema ', nspname), nspowner::pg_catalog.regrole::pg_catalog.text, \
         pg_catalog.quote_ident(",
    me!(),
    "::pg_catalog.text) \
     from pg_catalog.pg_namespace where nspname operator(pg_catalog.=) any ('{pgq_node,londiste}'::pg_catalog.name[]) and ",
    untrusted!("nspowner"),
    " limit 1"
);

/// Fails if this role would run code of a role that does not have its rights.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub(crate) fn require_trusted(client: &mut impl GenericClient, what: Trust<'_>) -> Result<(), Error> {
    let (statement, values): (_, &[Param<'_>]) = match &what {
        Trust::All => (UNTRUSTED_OBJECT, &[(&["pgq"].as_slice(), Type::NAME_ARRAY)]),
        Trust::Schema => (UNTRUSTED_SCHEMA, &[]),
        Trust::Function(name) => (UNTRUSTED_FUNCTION, &[text(name)]),
        Trust::Node => (UNTRUSTED_NODE, &[]),
    };
    ready(refuse_found(client, statement, values))
}

/// Fails if a statement returns an object of an untrusted role.
async fn refuse_found(
    session: &mut impl Session,
    statement: &str,
    values: &[Param<'_>],
) -> Result<(), Error> {
    let row = session.first_row(statement, values).await;
    let row =
        row.map_err(|error| Error::failed("cannot check the owners of schema `pgq`").caused_by(error))?;
    let Some(row) = row else { return Ok(()) };
    let (what, owner, role): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
    Err(Error::untrusted(format!(
        "{what} belongs to role `{owner}`, whose code would run with the rights of `{role}`; \
         connect as `{owner}`, or let a superuser or a role with these rights own it"
    )))
}
