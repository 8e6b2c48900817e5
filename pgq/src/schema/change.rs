//! The transaction in which schemas are changed.

use postgres::{GenericClient, Transaction};

use super::{path, trust};
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
    let search_path = path::set(&mut transaction).map_err(failed)?;
    lock::installation(&mut transaction)?;
    transaction.batch_execute(sql::TELL_LESS).map_err(failed)?;
    trust::require(&mut transaction, what)?;
    Ok((transaction, search_path))
}

/// Sets the search path back, since the transaction may be part of the caller's, and commits.
pub(super) fn commit(mut transaction: Transaction<'_>, search_path: &str) -> Result<(), postgres::Error> {
    path::restore(&mut transaction, search_path)?;
    transaction.commit()
}
