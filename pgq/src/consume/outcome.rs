//! The outcome of an event.

use std::time::Duration;

/// The outcome of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done.
    Done,
    /// It shall come back, to this consumer, after this time at the earliest. When it was retried as often as the
    /// [`RetryPolicy`](crate::RetryPolicy) allows, it is given up instead. PgQ: `pgq.event_retry`.
    Retry(Duration),
    /// It is given up, for this reason, and goes to the consumer's failed events. Skytools 2: `tag_failed`.
    Failed(String),
}

impl Outcome {
    /// Gives an event up; the reason is what the error and its causes say, with what a server says of rows. It is for
    /// those who may read the events.
    pub fn failed(error: &(dyn std::error::Error + 'static)) -> Outcome {
        Outcome::Failed(dbscript::describe_in_full(error))
    }
}
