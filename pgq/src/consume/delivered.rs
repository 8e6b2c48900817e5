//! The result of a batch.

/// The result of a batch: its counts, for the statistics, or that it is delivered again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Events read.
    pub events: u64,
    /// Events tagged for retry.
    pub retried: u64,
    /// Events tagged as failed.
    pub failed: u64,
    /// Whether the consumer has given the batch back ([`Batch::redeliver`](crate::Batch::redeliver)). Nothing was
    /// finished then.
    pub redelivered: bool,
}

impl Delivered {
    /// Makes the result of a batch whose events were all processed.
    pub fn all_done(events: u64) -> Delivered {
        Delivered { events, ..Delivered::default() }
    }

    /// Makes the result of a batch that is delivered again.
    pub(crate) fn redelivered() -> Delivered {
        Delivered { redelivered: true, ..Delivered::default() }
    }
}
