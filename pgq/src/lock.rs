//! The consumer's lock: one process a name.
//!
//! It is held for the transaction that opens a batch and again for the one that processes it. The first is
//! short, so who finds the lock taken looks again for a while before it gives up.

use std::thread;
use std::time::Duration;

use dbscript::BoxError;
use postgres::GenericClient;
use postgres::types::Type;

use crate::{Error, sql};

const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Calls `attempt` until it returns something, for a second at most.
pub(crate) fn retrying<T, E>(mut attempt: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    for _ in 1..TRIES {
        if let Some(got) = attempt()? {
            return Ok(Some(got));
        }
        thread::sleep(PAUSE);
    }
    attempt()
}

/// Takes a consumer's lock until the end of the transaction.
///
/// # Errors
///
/// When another process has it ([`Error::is_busy`]), and when the server fails.
pub(crate) fn take(client: &mut impl GenericClient, queue: &str, name: &str) -> Result<(), Error> {
    let taken = retrying(|| {
        let row =
            client.query_typed_one(sql::batch::HOLD_LOCK, &[(&queue, Type::TEXT), (&name, Type::TEXT)])?;
        Ok::<_, BoxError>(row.get::<_, bool>(0).then_some(()))
    });
    let failed = |error| Error::failed("cannot take the consumer's lock").on_queue(queue).caused_by(error);
    taken.map_err(failed)?.ok_or_else(|| busy(name).on_queue(queue))
}

pub(crate) fn busy(consumer: &str) -> Error {
    Error::busy(format!("another process is consuming as `{consumer}`; each needs a name of its own"))
}
