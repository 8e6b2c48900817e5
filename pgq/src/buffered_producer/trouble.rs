//! Failures in a row, and whether time heals them.

use std::time::Instant;

use crate::{Error, RetryPolicy};

/// Classes of errors that pass: connection, wrong state (a standby), rollback, resources, object in use, operator,
/// system, and what the server did not expect itself.
const PASSING: [&str; 8] = ["08", "25", "40", "53", "55", "57", "58", "XX"];

/// The last failed attempt, after which none has succeeded.
pub(super) struct Trouble {
    pub(super) error: Error,
    /// The number of the attempt.
    pub(super) attempt: u64,
    /// Whether waiting is not expected to help.
    pub(super) lasts: bool,
    /// When to try again; nothing: never.
    pub(super) next: Option<Instant>,
    /// How many attempts failed in a row.
    failures: u32,
}

impl Trouble {
    pub(super) fn new(
        error: Error,
        attempt: u64,
        before: Option<&Trouble>,
        policy: &RetryPolicy,
        now: Instant,
    ) -> Trouble {
        let failures = before.map_or(0, |before| before.failures);
        let (lasts, next) = (lasts(&error), now.checked_add(policy.delay(failures)));
        Trouble { error, attempt, lasts, next, failures: failures.saturating_add(1) }
    }
}

fn lasts(error: &Error) -> bool {
    let refused = |state: &str| !PASSING.iter().any(|class| state.starts_with(class));
    error.is_missing()
        || error.is_usage()
        || !error.is_connection() && error.sqlstate().is_some_and(|state| refused(state.code()))
}
