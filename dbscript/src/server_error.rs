//! What an error of a server says, and how much of it a log shows.

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
    for more in [detail, error.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
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
