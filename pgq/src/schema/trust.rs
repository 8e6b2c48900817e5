//! Whose objects may be installed over, ticked and called: those of roles that have the rights of this one anyway.

use postgres::Transaction;

use crate::Error;

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
