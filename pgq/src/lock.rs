//! The consumer's lock: one process a name.
//!
//! It is held for the transaction that opens a batch and again for the one that processes it. The first is
//! short, so who finds the lock taken looks again for a while before it gives up.

use std::thread;
use std::time::Duration;

use crate::Error;

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

pub(crate) fn busy(consumer: &str) -> Error {
    Error::busy(format!("another process is consuming as `{consumer}`; each needs a name of its own"))
}
