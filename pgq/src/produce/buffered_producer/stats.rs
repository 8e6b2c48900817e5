//! What a buffered producer has done.

/// What a [`BufferedProducer`](crate::BufferedProducer) has done so far, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Events that were accepted.
    pub sent: u64,
    /// Events that are committed.
    pub committed: u64,
    /// Transactions that succeeded.
    pub transactions: u64,
    /// Transactions that failed, attempts to connect and to find a refused event included.
    pub failed: u64,
    /// Events that the server refuses and nobody has taken back, among those in the buffer.
    pub refused: usize,
    /// Events in the buffer, those that are being written included.
    pub buffered: usize,
    /// The memory that these take, in bytes.
    pub buffered_bytes: usize,
}
