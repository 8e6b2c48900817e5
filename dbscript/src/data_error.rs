//! Errors with a second text that is free of data.

use std::fmt;

/// An error with two texts: one that contains data of a row or an event, and one for logs that does not.
///
/// `Display` and [`describe_in_full`](crate::describe_in_full) show the first, [`describe`](crate::describe) and
/// `Debug` the second.
///
/// ```
/// use dbscript::{DataError, describe, describe_in_full};
///
/// let error = DataError::quoting("expected a number, not `4711 Main St`");
/// assert_eq!(describe(&error), "expected a number, not `…`");
/// assert_eq!(describe_in_full(&error), "expected a number, not `4711 Main St`");
/// ```
#[derive(Clone)]
pub struct DataError {
    in_full: String,
    for_log: String,
}

impl DataError {
    /// Creates an error from the full text and the text for logs.
    pub fn new(in_full: impl Into<String>, for_log: impl Into<String>) -> DataError {
        DataError { in_full: in_full.into(), for_log: for_log.into() }
    }

    /// Creates an error from a text that contains data only in quotes or backticks. The text for logs has `…` in place
    /// of everything between the first quote and the last one of the same kind.
    pub fn quoting(in_full: impl Into<String>) -> DataError {
        let in_full = in_full.into();
        DataError { for_log: without_values(&in_full), in_full }
    }

    /// Returns the text for logs, which is free of data.
    pub fn for_log(&self) -> &str {
        &self.for_log
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_full)
    }
}

/// Shows the text for logs, since the message of a panic uses `Debug`.
impl fmt::Debug for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataError").field(&self.for_log).finish()
    }
}

impl std::error::Error for DataError {}

/// The quotes of PostgreSQL's translated messages and of this project: opening and closing character.
const QUOTES: [(char, char); 6] = [('"', '"'), ('`', '`'), ('«', '»'), ('»', '«'), ('„', '“'), ('“', '”')];

/// Replaces the quoted value by `…`. The value may contain quotes, so it ends at the last one.
pub(crate) fn without_values(message: &str) -> String {
    let Some((at, open)) = message.char_indices().find(|(_, c)| QUOTES.iter().any(|(open, _)| open == c))
    else {
        return message.to_owned();
    };
    let start = at + open.len_utf8();
    let close = QUOTES.iter().find(|(quote, _)| *quote == open).map_or(open, |(_, close)| *close);
    let end = message[start..].rfind(close).map_or(message.len(), |end| start + end);
    format!("{}…{}", &message[..start], &message[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_replaced() {
        let check = |message: &str, expected: &str| assert_eq!(without_values(message), expected);
        check("value too long for type character varying(3)", "value too long for type character varying(3)");
        check(
            "invalid input syntax for type integer: \"a\"b\"",
            "invalid input syntax for type integer: \"…\"",
        );
        check(
            "value \"99\" is out of range for type integer",
            "value \"…\" is out of range for type integer",
        );
        check("ungültige Eingabe: »a«", "ungültige Eingabe: »…«");
        check("entrée invalide : « a »", "entrée invalide : «…»");
        check("malformed array literal: \"{cut off", "malformed array literal: \"…");
        check("expected u8, not `3``0`", "expected u8, not `…`");
    }
}
