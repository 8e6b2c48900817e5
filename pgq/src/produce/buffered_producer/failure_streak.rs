//! Attempts that fail in a row, and whether retries can help.

use std::time::Instant;

use dbscript::Backoff;
use dbscript::StateClass;

use crate::error::{Error, ErrorKind};

/// Classes of errors that may pass.
const PASSING: [StateClass; 2] = [StateClass::Transient, StateClass::Internal];
/// Classes of errors that one event may cause.
const OF_EVENTS: [StateClass; 2] = [StateClass::Data, StateClass::Limit];

/// The attempts that have failed since the last success.
pub(super) struct FailureStreak {
    /// The error of the last attempt.
    pub(super) error: Error,
    /// The number of the last attempt.
    pub(super) attempt: u64,
    /// Whether retries are not expected to help.
    pub(super) is_lasting: bool,
    /// The time of the next retry; `None` if it is too far in the future.
    pub(super) next: Option<Instant>,
    /// The time of the next retry while a flush waits.
    pub(super) soon: Option<Instant>,
    /// How many attempts have failed.
    failures: u32,
}

impl FailureStreak {
    pub(super) fn new(
        error: Error,
        attempt: u64,
        before: Option<&FailureStreak>,
        policy: &Backoff,
        now: Instant,
    ) -> FailureStreak {
        let failures = before.map_or(0, |before| before.failures);
        let (delay, shortest) = (policy.delay(failures), policy.delay(0));
        let (next, soon) = (now.checked_add(delay), now.checked_add(delay.min(shortest)));
        FailureStreak {
            is_lasting: is_lasting(&error),
            error,
            attempt,
            next,
            soon,
            failures: failures.saturating_add(1),
        }
    }
}

/// Returns whether one event may have caused an error, so that the server may accept the others.
pub(super) fn may_be_one_event(error: &Error) -> bool {
    let is_in = |state| OF_EVENTS.iter().any(|class| class.contains(state));
    !error.is_connection() && error.sqlstate().is_some_and(is_in)
}

fn is_lasting(error: &Error) -> bool {
    let refused = |state| !PASSING.iter().any(|class| class.contains(state));
    error.kind() == ErrorKind::Missing
        || error.kind() == ErrorKind::Usage
        || !error.is_connection() && error.sqlstate().is_some_and(refused)
}
