//! Changes of queues and registrations that take turns, so that two at once do what one after the other would.
//!
//! The locks are those of a transaction. A consumer's name is one for all queues, since it is for PgQ.

use postgres::{GenericClient, Transaction};

use crate::admin::find_queue;
use crate::error::Error;
use crate::lock;
use crate::schema;

/// Changes a queue in a transaction that has its name to itself.
pub(crate) fn of_queue<T>(
    client: &mut impl GenericClient,
    queue: &str,
    what: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    schema::require(client)?;
    in_transaction(client, queue, what, |transaction| lock::queue(transaction, queue), change)
}

/// Changes a registration in a transaction that has the consumer's name to itself, while the queue is neither
/// created nor dropped. A queue that vanishes all the same, by another program, is one that is not there.
pub(crate) fn of_consumer<T>(
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
        Err(error) if error.sqlstate().is_some() && find_queue::is_gone(client, queue) => {
            Err(find_queue::unknown(client, queue))
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
    let failed = |error| Error::failed(what).on_queue(queue).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    lock(&mut transaction).map_err(|error| Error::failed(what).on_queue(queue).caused_by(error))?;
    let changed = change(&mut transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(changed)
}
