//! The statistics of a buffered producer.

/// The statistics of a [`BufferedProducer`](crate::BufferedProducer) since its start, and its buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Events that were accepted.
    pub sent: u64,
    /// Events that are committed.
    pub committed: u64,
    /// Transactions that succeeded.
    pub transactions: u64,
    /// Transactions that failed, including attempts to connect and to find a refused event.
    pub failed: u64,
    /// Events in the buffer that the server refuses and the program has not taken back.
    pub refused: usize,
    /// Events in the buffer, including those that are being written.
    pub buffered: usize,
    /// The memory of these events, in bytes.
    pub buffered_bytes: usize,
}
