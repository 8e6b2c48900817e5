//! The position that a sink keeps.

use std::fmt;

use pgq::{BatchInfo, Checkpoint};

/// How far a sink has come: the first `events` events of the batch between two ticks are applied, and all batches before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The tick at which the batch starts.
    pub start: Checkpoint,
    /// The tick at which the batch ends.
    pub end: Checkpoint,
    /// How many events of the batch are applied, in the order in which PgQ delivers them.
    pub events: u64,
    /// The id of the last applied event of the batch; `None` if `events` is 0.
    pub last_event: Option<i64>,
    /// The numbers, from 1 on, of those applied events that the sink has refused. They are the consumer's failed events as
    /// soon as the batch is finished.
    pub failed: Vec<u64>,
    /// Whether the batch has no further events.
    pub is_complete: bool,
}

impl Position {
    /// Makes the position before the first event of a batch.
    pub(super) fn before(batch: &BatchInfo) -> Position {
        Position {
            start: Checkpoint::start_of(batch),
            end: Checkpoint::end_of(batch),
            events: 0,
            last_event: None,
            failed: Vec::new(),
            is_complete: false,
        }
    }

    /// Returns the tick at which the consumer continues: the end of a complete batch, the start of any other.
    pub fn checkpoint(&self) -> &Checkpoint {
        if self.is_complete { &self.end } else { &self.start }
    }

    /// Returns whether this is a position of a batch with these very ticks.
    pub(super) fn is_of(&self, batch: &BatchInfo) -> bool {
        self.start.is(&Checkpoint::start_of(batch)) && self.end.is(&Checkpoint::end_of(batch))
    }

    /// Returns whether this is a position within the batch of another position.
    #[cfg(feature = "jetstream")]
    pub(crate) fn is_in_batch_of(&self, other: &Position) -> bool {
        !self.is_complete && self.start.is(&other.start) && self.end.is(&other.end)
    }
}

/// Shows ticks, their times and the last event.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete {
            return write!(f, "{}", self.end);
        }
        write!(f, "{} events of the batch from {} to {}", self.events, self.start, self.end)?;
        match self.last_event {
            Some(id) => write!(f, ", the last one with id {id}"),
            None => Ok(()),
        }
    }
}
