//! Failures in a row, and whether time heals them.

use crate::error::ErrorKind;
use std::time::Instant;

use dbscript::Backoff;

use crate::error::Error;

/// Classes of errors that pass: connection, wrong state (a standby), rollback, resources, object in use, operator,
/// system, and what the server did not expect itself.
const PASSING: [&str; 8] = ["08", "25", "40", "53", "55", "57", "58", "XX"];
/// Classes of errors that one event may be at fault for: its data, a constraint, a limit.
const OF_EVENTS: [&str; 3] = ["22", "23", "54"];

/// The last failed attempt, after which none has succeeded.
pub(super) struct Trouble {
    pub(super) error: Error,
    /// The number of the attempt.
    pub(super) attempt: u64,
    /// Whether waiting is not expected to help.
    pub(super) lasts: bool,
    /// When to try again; nothing: never.
    pub(super) next: Option<Instant>,
    /// When to try again while somebody waits.
    pub(super) soon: Option<Instant>,
    /// How many attempts failed in a row.
    failures: u32,
}

impl Trouble {
    pub(super) fn new(
        error: Error,
        attempt: u64,
        before: Option<&Trouble>,
        policy: &Backoff,
        now: Instant,
    ) -> Trouble {
        let failures = before.map_or(0, |before| before.failures);
        let (delay, shortest) = (policy.delay(failures), policy.delay(0));
        let (next, soon) = (now.checked_add(delay), now.checked_add(delay.min(shortest)));
        Trouble { lasts: lasts(&error), error, attempt, next, soon, failures: failures.saturating_add(1) }
    }
}

/// Returns whether the server may take the other events of a transaction that failed.
pub(super) fn is_of_an_event(error: &Error) -> bool {
    let is_in = |state: &str| OF_EVENTS.iter().any(|class| state.starts_with(class));
    !error.is_connection() && error.sqlstate().is_some_and(|state| is_in(state.code()))
}

fn lasts(error: &Error) -> bool {
    let refused = |state: &str| !PASSING.iter().any(|class| state.starts_with(class));
    error.kind() == ErrorKind::Missing
        || error.kind() == ErrorKind::Usage
        || !error.is_connection() && error.sqlstate().is_some_and(|state| refused(state.code()))
}
