//! What an error of a server says, and how much of it a log shows.

use std::fmt::Write;

use postgres::error::DbError;

use crate::data_error::without_values;

/// Classes of errors whose detail is about the server and its objects, not about rows.
const WITHOUT_DATA: [&str; 14] =
    ["08", "0A", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX"];
/// The class of errors whose message shows the value that is wrong.
const DATA_EXCEPTION: &str = "22";
/// Files of the server by which functions in PL/pgSQL, PL/Python, PL/Perl and PL/Tcl raise errors.
const OF_LANGUAGES: [&str; 4] = ["pl_exec.c", "plpy_", "plperl", "pltcl"];
/// The schemas whose functions raise details and hints without data.
const OWN_SCHEMAS: [&str; 3] = ["pgq", "pgq_ext", "pgq_coop"];
/// Longer texts of a server are cut in a log, in characters.
const SHOWN: usize = 1000;

/// Renders an error with all that it says.
pub(crate) fn in_full(error: &DbError) -> String {
    render(error, error.message(), error.detail(), error.hint())
}

/// Renders an error without what it says of rows, and without the rest of long texts. A function may raise any
/// SQLSTATE; its message is shown, its detail and hint are not.
pub(crate) fn for_log(error: &DbError) -> String {
    let is_in = |class: &&str| error.code().code().starts_with(*class);
    let is_trusted = !is_raised(error.file()) || is_own(error.where_());
    let detail = error.detail().filter(|_| is_trusted && WITHOUT_DATA.iter().any(is_in));
    let message = match is_in(&DATA_EXCEPTION) {
        true => without_values(error.message()),
        false => error.message().to_owned(),
    };
    let hint = error.hint().filter(|_| is_trusted);
    render(error, &shortened(&message), detail.map(shortened).as_deref(), hint.map(shortened).as_deref())
}

/// Checks by the server's source file whether a function raised an error.
fn is_raised(file: Option<&str>) -> bool {
    file.is_some_and(|file| OF_LANGUAGES.iter().any(|of_language| file.starts_with(of_language)))
}

/// Checks whether the innermost function of an error's context is in a schema of the queues:
/// `PL/pgSQL function pgq.ticker(text) line 5 at RAISE`, in the server's language.
fn is_own(context: Option<&str>) -> bool {
    let function = context.and_then(|context| context.lines().next()?.split_once('('));
    let name = function.and_then(|(before, _)| before.split_whitespace().next_back());
    let schema = name.and_then(|name| name.split_once('.'));
    schema.is_some_and(|(schema, _)| OWN_SCHEMAS.contains(&schema))
}

/// Returns the beginning of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn render(error: &DbError, message: &str, detail: Option<&str>, hint: Option<&str>) -> String {
    let mut text = format!("{} {}: {message}", error.severity(), error.code().code());
    if let Some(setting) = expired(error.code().code(), error.message()) {
        let _ =
            write!(text, "; the limit is the setting `{setting}` of the role, the database or the server");
    }
    for more in [detail, hint].into_iter().flatten() {
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
    fn functions_of_the_queues_are_recognized_by_the_context() {
        let check = |context: &str, expected: bool| assert_eq!(is_own(Some(context)), expected, "{context}");
        check("PL/pgSQL function pgq.ticker(text,bigint) line 5 at RAISE\nSQL statement \"…\"", true);
        check("PL/pgSQL-Funktion pgq_coop.next_batch(text) Zeile 5 bei RAISE", true);
        check("PL/pgSQL function public.f() line 1 at RAISE\nPL/pgSQL function pgq.ticker() line 5", false);
        check("PL/pgSQL function f(pgq.x) line 1 at RAISE", false);
        check("PL/pgSQL function \"x pgq\".f() line 1 at RAISE", false);
        check("PL/pgSQL function inline_code_block line 1 at RAISE", false);
        assert!(!is_own(None));
        assert!(is_raised(Some("pl_exec.c")) && is_raised(Some("plpy_elog.c")));
        assert!(!is_raised(Some("planner.c")) && !is_raised(None));
    }
}
