//! Whose objects may be installed over, ticked and called: those of roles that have the rights of this one anyway.

use dbscript::Context;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::error::Error;
use crate::sql::trust as sql;

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

/// Fails where this role is a superuser and something in the schemas, or used by one of their tables, belongs to a role
/// that is none: calling a function of such a schema, or writing to a table, would run that role's code with the rights of
/// the superuser. Does nothing for any other role, which gives a schema's owner no more than its own rights.
///
/// A superuser whose role the setting `role` of the database has changed counts as one.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub fn require_superusers(client: &mut impl GenericClient, schemas: &[&str]) -> Result<(), Error> {
    find(client, sql::STRANGER_TO_SUPERUSER, &[(&schemas, Type::NAME_ARRAY)])
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

/// Fails where this role would run code of a role that does not have its rights.
///
/// # Errors
///
/// As described ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub(crate) fn require_trusted(client: &mut impl GenericClient, what: Trust<'_>) -> Result<(), Error> {
    match &what {
        Trust::All => find(client, sql::STRANGER, &[(&["pgq"].as_slice(), Type::NAME_ARRAY)]),
        Trust::Schema => find(client, sql::STRANGERS_SCHEMA, &[]),
        Trust::Function(name) => find(client, sql::STRANGERS_FUNCTION, &[(name, Type::TEXT)]),
        Trust::Node => find(client, sql::STRANGERS_NODE, &[]),
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
