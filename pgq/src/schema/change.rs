//! The transaction in which schemas are changed.

use postgres::{GenericClient, Transaction};

use super::{search_path, trust};
use crate::error::Error;
use crate::lock;
use crate::sql;

/// Begins a transaction that changes schemas, after any other one that does. Returns it with the search path as it was,
/// for [`commit`].
///
/// # Errors
///
/// When something in the schemas is [not to be trusted](trust::require), and when the server fails.
pub(super) fn begin<'a>(
    client: &'a mut impl GenericClient,
    what: &str,
) -> Result<(Transaction<'a>, String), Error> {
    let failed = |error| Error::failed(what).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::READ_COMMITTED).map_err(failed)?;
    let given_path = search_path::set(&mut transaction).map_err(failed)?;
    lock::installation(&mut transaction)?;
    transaction.batch_execute(sql::HIDE_NOTICES).map_err(failed)?;
    trust::require(&mut transaction, what)?;
    Ok((transaction, given_path))
}

/// Sets the search path back, since the transaction may be part of the caller's, and commits.
pub(super) fn commit(mut transaction: Transaction<'_>, given_path: &str) -> Result<(), postgres::Error> {
    search_path::restore(&mut transaction, given_path)?;
    transaction.commit()
}
