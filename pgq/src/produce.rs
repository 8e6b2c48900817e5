//! Producers: single events in the caller's transaction, many at once, and from many threads.

pub(crate) mod buffered_producer;
pub(crate) mod bulk_insert;
pub(crate) mod chunk;
pub(crate) mod copy;
pub(crate) mod delayed;
#[cfg(feature = "diesel")]
pub mod diesel;
#[cfg(any(feature = "diesel", feature = "diesel-async"))]
pub(crate) mod diesel_query;
pub(crate) mod encoding;
pub(crate) mod insert_statement;
pub(crate) mod once;
pub(crate) mod producer;
pub(crate) mod schedule;
pub(crate) mod schedule_event;

pub use self::buffered_producer::{
    BufferedProducerBuilder, CloseError, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY, DEFAULT_MAX_EVENTS,
    DEFAULT_PATIENCE, ProducerStats, SendError,
};
pub use self::insert_statement::{InsertStatement, insert_statement};
pub use self::once::InsertedOnce;
pub use self::schedule_event::Scheduled;
