//! The message that holds a consumer's position.

use pgq::BoxError;
use serde_json::{Value, json};

use crate::sink::{Position, Ranges};

/// The version of the format.
const VERSION: i64 = 1;
/// The version of the format of ranges. Releases without subconsumers refuse it.
const RANGES_VERSION: i64 = 2;

/// The content of a consumer's last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The position.
    At(Position),
    /// The position, unless messages of the same batch are behind it.
    OneByOne(Position),
    /// There is no position, by an operator's or a registration's decision.
    Forgotten,
    /// The ranges of subconsumers.
    Ranges(Ranges),
}

impl Marker {
    pub(super) fn position(&self) -> Option<&Position> {
        match self {
            Marker::At(position) | Marker::OneByOne(position) => Some(position),
            Marker::Forgotten | Marker::Ranges(_) => None,
        }
    }

    pub(super) fn to_json(&self) -> String {
        if let Marker::Ranges(ranges) = self {
            return json!({ "version": RANGES_VERSION, "ranges": ranges.to_value() }).to_string();
        }
        json!({
            "version": VERSION,
            "one_by_one": matches!(self, Marker::OneByOne(_)),
            "position": self.position().map(Position::to_value),
        })
        .to_string()
    }

    pub(super) fn parse(payload: &[u8]) -> Result<Marker, BoxError> {
        let value: Value = serde_json::from_slice(payload)
            .map_err(|error| format!("the last message is no position: {error}"))?;
        if value["version"] == RANGES_VERSION {
            let ranges = Ranges::from_value(&value["ranges"]).map(Marker::Ranges);
            return ranges.ok_or_else(|| "the last message has incomplete ranges".into());
        }
        if value["version"] != VERSION {
            return Err(format!("the last message is no position of version {VERSION}").into());
        }
        match (value.get("position"), value["one_by_one"].as_bool()) {
            (Some(Value::Null), Some(false)) => Some(Marker::Forgotten),
            (Some(position), Some(false)) => Position::from_value(position).map(Marker::At),
            (Some(position), Some(true)) => Position::from_value(position).map(Marker::OneByOne),
            _ => None,
        }
        .ok_or_else(|| "the last message is an incomplete position".into())
    }
}

#[cfg(test)]
mod tests {
    use pgq::Checkpoint;

    use super::*;

    #[test]
    fn a_marker_survives_its_json() {
        let at = |tick| Checkpoint::new(tick, chrono::DateTime::from_timestamp_micros(tick));
        let (start, end) = (at(5), at(6));
        let position =
            Position { start, end, events: 0, last_event: None, failed: Vec::new(), is_complete: true };
        let ranges = Ranges::of_position(&position);
        let markers = [
            Marker::At(position.clone()),
            Marker::OneByOne(position),
            Marker::Forgotten,
            Marker::Ranges(ranges),
        ];
        for marker in markers {
            assert_eq!(Marker::parse(marker.to_json().as_bytes()).expect("valid"), marker);
        }
    }

    #[test]
    fn other_messages_are_errors() {
        let incomplete = r#"{"version":1,"one_by_one":false,"position":{"start_tick":1}}"#;
        for wrong in [
            "",
            "x",
            "{}",
            r#"{"version":2,"position":null}"#,
            r#"{"version":3}"#,
            r#"{"version":1}"#,
            incomplete,
        ] {
            assert!(Marker::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
