//! Failures in a row, and whether time heals them.

use crate::error::ErrorKind;
use std::time::Instant;

use dbscript::StateClass;

use crate::backoff::Backoff;
use crate::error::Error;

/// The errors which time heals.
const PASSING: [StateClass; 2] = [StateClass::Transient, StateClass::Internal];
/// The errors for which one event may be at fault.
const OF_EVENTS: [StateClass; 2] = [StateClass::Data, StateClass::Limit];

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
    let is_in = |state| OF_EVENTS.iter().any(|class| class.contains(state));
    !error.is_connection() && error.sqlstate().is_some_and(is_in)
}

fn lasts(error: &Error) -> bool {
    let refused = |state| !PASSING.iter().any(|class| class.contains(state));
    error.kind() == ErrorKind::Missing
        || error.kind() == ErrorKind::Usage
        || !error.is_connection() && error.sqlstate().is_some_and(refused)
}
