//! The counts of a finished batch.

/// The counts of a finished batch, for the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Events read.
    pub events: u64,
    /// Events tagged for retry.
    pub retried: u64,
    /// Events tagged as failed.
    pub failed: u64,
}

impl Delivered {
    /// Makes the result of a batch whose events were all processed.
    pub fn all_done(events: u64) -> Delivered {
        Delivered { events, ..Delivered::default() }
    }
}
