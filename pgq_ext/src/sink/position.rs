//! The position that a sink keeps.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use pgq::{BatchInfo, BoxError, Checkpoint};
use serde_json::{Value, json};

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

    /// Returns the position as a JSON object, for a system that stores texts.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// Reads what [`to_json`](Position::to_json) has returned.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn from_json(text: &str) -> Result<Position, BoxError> {
        Position::from_value(&serde_json::from_str(text)?)
            .ok_or_else(|| "the JSON is not that of a position".into())
    }

    pub(crate) fn to_value(&self) -> Value {
        let [start_tick, start_time] = checkpoint_values(&self.start);
        let [end_tick, end_time] = checkpoint_values(&self.end);
        json!({
            "start_tick": start_tick,
            "start_time": start_time,
            "end_tick": end_tick,
            "end_time": end_time,
            "events": self.events,
            "last_event": self.last_event,
            "failed": self.failed,
            "complete": self.is_complete,
        })
    }

    pub(crate) fn from_value(value: &Value) -> Option<Position> {
        let failed = value["failed"].as_array()?.iter().map(Value::as_u64);
        Some(Position {
            start: checkpoint_of(&value["start_tick"], &value["start_time"])?,
            end: checkpoint_of(&value["end_tick"], &value["end_time"])?,
            events: value["events"].as_u64()?,
            last_event: value["last_event"].as_i64(),
            failed: failed.collect::<Option<_>>()?,
            is_complete: value["complete"].as_bool()?,
        })
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

/// Returns number and time of a tick as JSON.
pub(super) fn checkpoint_values(checkpoint: &Checkpoint) -> [Value; 2] {
    [json!(checkpoint.tick), json!(checkpoint.time.map(time_text))]
}

/// Reads the values that [`checkpoint_values`] has returned.
pub(super) fn checkpoint_of(tick: &Value, at: &Value) -> Option<Checkpoint> {
    Some(Checkpoint::new(tick.as_i64()?, Some(time(at)?)))
}

fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_json() {
        let time = DateTime::from_timestamp_micros(1_700_000_000_123_456);
        for last_event in [None, Some(i64::MAX)] {
            let position = Position {
                start: Checkpoint::new(5, time),
                end: Checkpoint::new(i64::MAX, time),
                events: u64::MAX,
                last_event,
                failed: vec![1, u64::MAX],
                is_complete: last_event.is_none(),
            };
            assert_eq!(Position::from_json(&position.to_json()).expect("valid"), position);
        }
    }

    #[test]
    fn other_texts_are_errors() {
        for wrong in ["", "x", "{}", "[]", r#"{"start_tick":1}"#] {
            assert!(Position::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
