//! The data of events.

use serde::{Deserialize, Serialize};

use crate::BoxError;

/// The data of an event, which is stored as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Payload {
    /// The number of the event.
    pub n: u64,
    /// Fills the text up.
    pub pad: String,
}

#[derive(Deserialize)]
struct Number {
    n: u64,
}

impl Payload {
    /// Makes the data of an event, whose JSON text has so many bytes.
    pub fn new(number: u64, bytes: usize) -> Payload {
        let width = bytes.saturating_sub(format!("{{\"n\":{number},\"pad\":\"\"}}").len());
        Payload { n: number, pad: "x".repeat(width) }
    }

    /// Returns the JSON text.
    pub fn text(&self) -> String {
        format!("{{\"n\":{},\"pad\":\"{}\"}}", self.n, self.pad)
    }
}

/// Returns the number of the event with this text.
///
/// # Errors
///
/// When the text is not that of an event.
pub fn number(text: &str) -> Result<u64, BoxError> {
    Ok(serde_json::from_str::<Number>(text)?.n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_number_and_length() {
        let payload = Payload::new(4711, 75);
        let text = payload.text();
        assert_eq!((text.len(), number(&text).expect("the text is JSON")), (75, 4711));
        assert_eq!(text, serde_json::to_string(&payload).expect("it has no other values"));
    }
}
