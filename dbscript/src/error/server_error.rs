//! The text of a server's error: in full, and for a log (DESIGN.md, D84).

use std::fmt::Write;

use postgres::error::{DbError, SqlState};

use crate::data_error::without_values;
use crate::error::state_class::StateClass;
use crate::error::state_class::expired_setting;

/// The source files of the server that report errors of functions in PL/pgSQL, PL/Python, PL/Perl and PL/Tcl.
const OF_LANGUAGES: [&str; 4] = ["pl_exec.c", "plpy_", "plperl", "pltcl"];
/// The schemas whose functions raise details and hints without data.
const OWN_SCHEMAS: [&str; 3] = ["pgq", "pgq_ext", "pgq_coop"];
/// The longest text of a server that a log shows, in characters.
const SHOWN: usize = 1000;

/// The fields of an error that a server reports, from whichever driver they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerMessage<'a> {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: &'a str,
    /// The SQLSTATE; `None` if the driver does not report it. The log then shows no quoted text of the message.
    pub sqlstate: Option<&'a str>,
    /// The message.
    pub message: &'a str,
    /// The DETAIL.
    pub detail: Option<&'a str>,
    /// The HINT.
    pub hint: Option<&'a str>,
    /// The server's source file that reports the error.
    pub file: Option<&'a str>,
    /// The CONTEXT: the functions that were running.
    pub context: Option<&'a str>,
}

impl<'a> From<&'a DbError> for ServerMessage<'a> {
    fn from(error: &'a DbError) -> ServerMessage<'a> {
        ServerMessage {
            severity: error.severity(),
            sqlstate: Some(error.code().code()),
            message: error.message(),
            detail: error.detail(),
            hint: error.hint(),
            file: error.file(),
            context: error.where_(),
        }
    }
}

/// Renders an error with message, detail and hint.
pub(crate) fn in_full(error: &ServerMessage<'_>) -> String {
    render(error, error.message, error.detail, error.hint)
}

/// Renders an error without the data of rows, and cuts long texts. A function may raise any SQLSTATE, so the message of
/// such an error is shown, but not its detail and hint.
pub(crate) fn for_log(error: &ServerMessage<'_>) -> String {
    let state = error.sqlstate.map(SqlState::from_code);
    let is_of = |class: StateClass| state.as_ref().map(|state| class.contains(state));
    let is_trusted = !is_raised(error.file) || is_own(error.context);
    let detail = error.detail.filter(|_| is_trusted && is_of(StateClass::PublicDetail) == Some(true));
    let message = match is_of(StateClass::Value) {
        Some(false) => error.message.to_owned(),
        Some(true) | None => without_values(error.message),
    };
    let hint = error.hint.filter(|_| is_trusted && state.is_some());
    render(error, &shortened(&message), detail.map(shortened).as_deref(), hint.map(shortened).as_deref())
}

/// Returns true if a function raised the error, as the server's source file shows.
fn is_raised(file: Option<&str>) -> bool {
    file.is_some_and(|file| OF_LANGUAGES.iter().any(|of_language| file.starts_with(of_language)))
}

/// Returns true if the innermost function of an error's context is in one of [`OWN_SCHEMAS`]. The context is a text
/// such as `PL/pgSQL function pgq.ticker(text) line 5 at RAISE`, in the server's language.
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

fn render(error: &ServerMessage<'_>, message: &str, detail: Option<&str>, hint: Option<&str>) -> String {
    let mut text = match error.sqlstate {
        Some(state) => format!("{} {state}: {message}", error.severity),
        None => format!("{}: {message}", error.severity),
    };
    if let Some(setting) = error.sqlstate.and_then(|state| expired_setting(state, error.message)) {
        let _ =
            write!(text, "; the limit is the setting `{setting}` of the role, the database or the server");
    }
    for more in [detail, hint].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
