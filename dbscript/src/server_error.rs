//! What an error of a server says, and how much of it a log shows.

use std::fmt::Write;

use postgres::error::DbError;

/// Classes of errors whose detail is about the server and its objects, not about rows.
const WITHOUT_DATA: [&str; 14] =
    ["08", "0A", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX"];
/// The class of errors whose message shows the value that is wrong.
const DATA_EXCEPTION: &str = "22";
/// The quotes of PostgreSQL's languages, each with what closes it.
const QUOTES: [(char, char); 5] = [('"', '"'), ('«', '»'), ('»', '«'), ('„', '“'), ('“', '”')];

/// Renders an error with all that it says.
pub(crate) fn in_full(error: &DbError) -> String {
    render(error, error.message(), error.detail())
}

/// Renders an error without what it says of rows. Functions may raise any SQLSTATE, but rarely one of these classes.
pub(crate) fn for_log(error: &DbError) -> String {
    let is_in = |class: &&str| error.code().code().starts_with(*class);
    let detail = error.detail().filter(|_| WITHOUT_DATA.iter().any(is_in));
    let message = match is_in(&DATA_EXCEPTION) {
        true => without_values(error.message()),
        false => error.message().to_owned(),
    };
    render(error, &message, detail)
}

fn render(error: &DbError, message: &str, detail: Option<&str>) -> String {
    let mut text = format!("{} {}: {message}", error.severity(), error.code().code());
    if let Some(setting) = expired(error.code().code(), error.message()) {
        let _ =
            write!(text, "; the limit is the setting `{setting}` of the role, the database or the server");
    }
    for more in [detail, error.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

/// Returns the setting whose time was over. The codes of statements and of locks have other reasons too, which only the
/// message tells apart.
fn expired(code: &str, message: &str) -> Option<&'static str> {
    match code {
        "57014" if message.ends_with("statement timeout") => Some("statement_timeout"),
        "55P03" if message.ends_with("lock timeout") => Some("lock_timeout"),
        "25P03" => Some("idle_in_transaction_session_timeout"),
        "25P04" => Some("transaction_timeout"),
        "57P05" => Some("idle_session_timeout"),
        _ => None,
    }
}

/// Replaces what stands in quotes. A value may hold quotes itself, so it ends at the last one.
fn without_values(message: &str) -> String {
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
    fn the_setting_of_a_limit_is_named() {
        let check = |code: &str, message: &str, expected: Option<&str>| {
            assert_eq!(expired(code, message), expected, "{message}");
        };
        check("57014", "canceling statement due to statement timeout", Some("statement_timeout"));
        check("57014", "canceling statement due to user request", None);
        check("55P03", "canceling statement due to lock timeout", Some("lock_timeout"));
        check("55P03", "could not obtain lock on relation \"t\"", None);
        let idle = "terminating connection due to idle-in-transaction timeout";
        check("25P03", idle, Some("idle_in_transaction_session_timeout"));
        check("25P04", "terminating connection due to transaction timeout", Some("transaction_timeout"));
        check("57P05", "terminating connection due to idle-session timeout", Some("idle_session_timeout"));
    }

    #[test]
    fn values_are_left_out() {
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
    }
}
