//! The message that holds a consumer's position.

use chrono::{DateTime, SecondsFormat, Utc};
use pgq::{BoxError, Checkpoint};
use serde_json::{Value, json};

use crate::sink::Position;

/// The version of the format.
const VERSION: i64 = 1;

/// The content of a consumer's last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The position.
    At(Position),
    /// The position, unless messages of the same batch are behind it.
    OneByOne(Position),
    /// There is no position, by an operator's or a registration's decision.
    Forgotten,
}

impl Marker {
    pub(super) fn position(&self) -> Option<&Position> {
        match self {
            Marker::At(position) | Marker::OneByOne(position) => Some(position),
            Marker::Forgotten => None,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let Some(position) = self.position() else {
            return json!({ "version": VERSION, "forgotten": true }).to_string();
        };
        json!({
            "version": VERSION,
            "start_tick": position.start.tick,
            "start_time": position.start.time.map(time_text),
            "end_tick": position.end.tick,
            "end_time": position.end.time.map(time_text),
            "events": position.events,
            "last_event": position.last_event,
            "failed": position.failed,
            "complete": position.is_complete,
            "one_by_one": matches!(self, Marker::OneByOne(_)),
        })
        .to_string()
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Marker, BoxError> {
        let value: Value = serde_json::from_slice(payload)
            .map_err(|error| format!("the last message is no position: {error}"))?;
        if value["version"] != VERSION {
            return Err(format!("the last message is no position of version {VERSION}").into());
        }
        if value["forgotten"] == true {
            return Ok(Marker::Forgotten);
        }
        let position = position(&value).ok_or("the last message is an incomplete position")?;
        match value["one_by_one"].as_bool() {
            Some(true) => Ok(Marker::OneByOne(position)),
            _ => Ok(Marker::At(position)),
        }
    }
}

fn position(value: &Value) -> Option<Position> {
    let failed = value["failed"].as_array()?.iter().map(Value::as_u64);
    Some(Position {
        start: Checkpoint::new(value["start_tick"].as_i64()?, Some(time(&value["start_time"])?)),
        end: Checkpoint::new(value["end_tick"].as_i64()?, Some(time(&value["end_time"])?)),
        events: value["events"].as_u64()?,
        last_event: value["last_event"].as_i64(),
        failed: failed.collect::<Option<_>>()?,
        is_complete: value["complete"].as_bool()?,
    })
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
            for marker in [Marker::At(position.clone()), Marker::OneByOne(position), Marker::Forgotten] {
                assert_eq!(Marker::parse(marker.to_json().as_bytes()).expect("valid"), marker);
            }
        }
    }

    #[test]
    fn other_messages_are_errors() {
        for wrong in ["", "x", "{}", r#"{"version":2,"forgotten":true}"#, r#"{"version":1,"start_tick":1}"#] {
            assert!(Marker::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
