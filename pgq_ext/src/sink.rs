//! Exactly once into a system that is no PostgreSQL database.
//!
//! The position is stored in the other system, together with the events. A crash between the two is then impossible, so
//! that no event is lost and none is applied twice, whatever is killed at whatever moment. A [`Sink`] is the access to
//! the other system, a [`SinkConsumer`] the delivery of batches into it.
//!
//! A batch is applied in parts, since other systems limit the size of an atomic write. A [`Position`] says how many events
//! of which batch are applied. An open batch is delivered again with the same events in the same order, so a consumer that
//! restarts continues behind the last applied part.
//!
//! A sink needs three things of its system: an atomic write of some events and one record, a conditional write, which
//! fails if the record has changed meanwhile, and a read of the record that returns the last write.
//!
//! ```
//! use pgq::{BoxError, Event};
//! use pgq_ext::sink::{Position, Sink};
//!
//! /// Keeps the events in memory.
//! #[derive(Default)]
//! struct Memory {
//!     events: Vec<i64>,
//!     position: Option<Position>,
//! }
//!
//! impl Sink for Memory {
//!     fn startup(&mut self, _consumer: &str) -> Result<(), BoxError> {
//!         Ok(())
//!     }
//!
//!     fn position(&mut self) -> Result<Option<Position>, BoxError> {
//!         Ok(self.position.clone())
//!     }
//!
//!     fn apply(&mut self, part: &[Event], position: &Position) -> Result<(), BoxError> {
//!         self.events.extend(part.iter().map(Event::id));
//!         self.position = Some(position.clone());
//!         Ok(())
//!     }
//!
//!     fn forget(&mut self) -> Result<(), BoxError> {
//!         self.position = None;
//!         Ok(())
//!     }
//! }
//! # let mut memory = Memory::default();
//! # assert_eq!(memory.position().unwrap(), None);
//! ```

mod applier;
mod consumer;
mod part;
mod position;
#[cfg(feature = "script")]
mod program;
mod ranges;
mod team;

use pgq::{BoxError, Event};

pub use self::consumer::SinkConsumer;
pub use self::position::Position;
#[cfg(feature = "script")]
pub use self::program::SinkProgram;
pub use self::ranges::{Ranges, TickRange};
pub use self::team::TeamConsumer;

/// The most events of a part that [`Limits::default`] allows.
pub const DEFAULT_PART_EVENTS: usize = 1_000;
/// The most bytes of a part that [`Limits::default`] allows.
pub const DEFAULT_PART_BYTES: usize = 4 * 1024 * 1024;

/// A system that applies events and keeps the position of their consumer.
pub trait Sink {
    /// Checks that the system can be written to. Called before all other methods, with the consumer's name, and once more
    /// after a reload.
    ///
    /// # Errors
    ///
    /// Any error ends the consumer before its first batch.
    fn startup(&mut self, consumer: &str) -> Result<(), BoxError>;

    /// Returns the position that was recorded last, or `None` if nothing is applied yet. Must not return an older one.
    /// Called before the first batch and after each error.
    ///
    /// # Errors
    ///
    /// Any error leaves the batch open; it is delivered again.
    fn position(&mut self) -> Result<Option<Position>, BoxError>;

    /// Applies a part of a batch and records the position, both or none. `part` is empty for a batch without events.
    ///
    /// If the position is not complete, the call may return before the part is applied, so that the next events are read
    /// meanwhile. The next call then waits for it, and returns its error.
    ///
    /// # Errors
    ///
    /// Must fail, with nothing applied, if the recorded position has changed since this value read or wrote it: another
    /// process of the same consumer is active. Any other error may leave open whether the part was applied; the consumer
    /// then reads the position again.
    fn apply(&mut self, part: &[Event], position: &Position) -> Result<(), BoxError>;

    /// Returns the reason for which the system can never apply an event, such as its size. Such an event goes to the
    /// consumer's failed events (`pgq.event_failed`), and no later than the others. Defaults to `None`.
    ///
    /// # Errors
    ///
    /// Any error leaves the batch open; it is delivered again.
    fn refuses(&mut self, _event: &Event) -> Result<Option<String>, BoxError> {
        Ok(None)
    }

    /// Removes the position. The events stay.
    ///
    /// # Errors
    ///
    /// As [`startup`](Sink::startup).
    fn forget(&mut self) -> Result<(), BoxError>;

    /// Returns the size at which a part ends. Defaults to [`Limits::default`].
    fn limits(&self) -> Limits {
        Limits::default()
    }
}

/// A sink whose events several subconsumers of a consumer may apply at once, with a record of each open batch.
///
/// The methods [`position`](Sink::position) and [`forget`](Sink::forget) are for the consumer as a whole, and
/// [`apply`](Sink::apply) depends on the record that was opened or selected last, and replaces it.
pub trait TeamSink: Sink {
    /// Checks that the system can keep ranges and records. Called after [`startup`](Sink::startup).
    ///
    /// # Errors
    ///
    /// Any error ends the consumer before its first batch.
    fn join(&mut self) -> Result<(), BoxError>;

    /// Returns the ranges that were stored last; no ranges if nothing is applied yet, and those of the
    /// [`position`](Sink::position) of a consumer without subconsumers. Must not return older ones.
    ///
    /// # Errors
    ///
    /// When a consumer without subconsumers has applied a part of a batch, and any other error. The batch stays open; it is
    /// delivered again.
    fn ranges(&mut self) -> Result<Ranges, BoxError>;

    /// Stores ranges, and the record of a batch of which nothing is applied, both or none, and selects the record. Returns
    /// `false`, with nothing stored, if another process has changed the ranges, or the position, since this value read them.
    ///
    /// # Errors
    ///
    /// Any error may leave open whether they were stored.
    fn open_record(&mut self, ranges: &Ranges, record: &Position) -> Result<bool, BoxError>;

    /// Returns the record of a batch and selects it, or returns `None` if there is none. Must not return an older one.
    ///
    /// # Errors
    ///
    /// Any error leaves the batch open; it is delivered again.
    fn select_record(&mut self, batch: &TickRange) -> Result<Option<Position>, BoxError>;

    /// Stores ranges and removes the record of a batch. A failure in between may leave the record, which the ranges no longer
    /// have. Returns `false`, with nothing changed, if another process has changed the ranges since this value read them, or the
    /// record since this value selected it, unless a part was applied since.
    ///
    /// # Errors
    ///
    /// Any error may leave open whether they were stored.
    fn close_record(&mut self, ranges: &Ranges, batch: &TickRange) -> Result<bool, BoxError>;
}

/// The size at which a part ends, which also bounds the memory of the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most events. At least one. Defaults to [`DEFAULT_PART_EVENTS`].
    pub events: usize,
    /// The most bytes of text in the events' columns; a larger event is a part of its own. Defaults to
    /// [`DEFAULT_PART_BYTES`].
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { events: DEFAULT_PART_EVENTS, bytes: DEFAULT_PART_BYTES }
    }
}
