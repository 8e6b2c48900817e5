//! Locks on the names of queues and consumers, which serialize changes of queues and registrations.
//!
//! A lock lasts until the end of its transaction. A consumer's name is locked for all queues at once, since PgQ has one
//! table of consumer names for all queues.

use postgres::{GenericClient, Transaction};

use crate::admin::queue_lookup;
use crate::error::{At, Error};
use crate::lock;
use crate::schema;

/// Changes a queue in a transaction that holds the lock on the queue's name.
pub(crate) fn change_queue<T>(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    schema::require(client)?;
    in_transaction(client, queue, what, |transaction| lock::queue(transaction, queue), change)
}

/// Changes a registration in a transaction that holds the lock on the consumer's name. Meanwhile this crate neither
/// creates nor drops the queue; a queue that another program drops is reported as missing.
pub(crate) fn change_registration<T>(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    what: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    if consumer.is_empty() {
        return Err(Error::usage("a consumer's name must not be empty"));
    }
    schema::require(client)?;
    let lock = |transaction: &mut Transaction<'_>| lock::registration(transaction, queue, consumer);
    match in_transaction(client, queue, what, lock, change) {
        Err(error) if error.sqlstate().is_some() && queue_lookup::is_dropped(client, queue) => {
            Err(queue_lookup::unknown_queue(client, queue))
        }
        result => result,
    }
}

fn in_transaction<T>(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    lock: impl FnOnce(&mut Transaction<'_>) -> Result<(), Error>,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = |error| At::queue(queue).failed(what, error);
    let mut transaction = client.transaction().map_err(failed)?;
    lock(&mut transaction).map_err(|error| At::queue(queue).failed(what, error))?;
    let changed = change(&mut transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(changed)
}
