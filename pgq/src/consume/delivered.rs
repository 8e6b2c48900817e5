//! What was done with a batch.

/// What was done with a batch, for the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Events read.
    pub events: u64,
    /// Events tagged for retry.
    pub retried: u64,
    /// Events tagged as failed.
    pub failed: u64,
}
