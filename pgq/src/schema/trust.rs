//! Whose objects may be installed over, ticked and called: those of roles that have the rights of this one anyway.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::Error;
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
/// As described ([`Error::is_untrusted`]), and when the server fails.
pub(crate) fn require_trusted(client: &mut impl GenericClient, what: Trust<'_>) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot find out whose schema `pgq` is").caused_by(error);
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let row = match &what {
        Trust::All => client.query_typed_opt(sql::STRANGER, no_values),
        Trust::Schema => client.query_typed_opt(sql::STRANGERS_SCHEMA, no_values),
        Trust::Function(name) => client.query_typed_opt(sql::STRANGERS_FUNCTION, &[(name, Type::TEXT)]),
        Trust::Node => client.query_typed_opt(sql::STRANGERS_NODE, no_values),
    };
    match row.map_err(failed)? {
        None => Ok(()),
        Some(row) => Err(untrusted(row.get(0), row.get(1), row.get(2))),
    }
}

/// Makes the error of what belongs to a role that is not trusted with this one's rights.
pub(super) fn untrusted(what: &str, owner: &str, role: &str) -> Error {
    Error::untrusted(format!(
        "{what} belongs to role `{owner}`, whose code would run with the rights of `{role}`; \
         connect as `{owner}`, or let a superuser or a role with these rights own it"
    ))
}
