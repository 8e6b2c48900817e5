//! The data of events.

use serde::Deserialize;

use crate::BoxError;

#[derive(Deserialize)]
struct Payload {
    n: u64,
}

/// Makes the JSON text of an event, so many bytes long.
pub fn payload(number: u64, bytes: usize) -> String {
    let head = format!("{{\"n\":{number},\"pad\":\"");
    let width = bytes.saturating_sub(head.len() + 2);
    format!("{head}{:x<width$}\"}}", "")
}

/// Returns the number of the event with this text.
///
/// # Errors
///
/// When the text is not that of an event.
pub fn number(text: &str) -> Result<u64, BoxError> {
    Ok(serde_json::from_str::<Payload>(text)?.n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_number_and_length() {
        let text = payload(4711, 75);
        assert_eq!((text.len(), number(&text).expect("the text is JSON")), (75, 4711));
    }
}
