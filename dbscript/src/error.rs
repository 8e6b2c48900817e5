//! The crate's error, and how a chain of errors becomes one line.

use std::error::Error as StdError;
use std::fmt;

use postgres::error::{DbError, SqlState};

use crate::data_error::DataError;
use crate::database::connect::Refusals;
use crate::database::tls::TlsFailure;
use crate::server_error;
use crate::text::plain::one_line;

/// Any error, as user code returns it; `?` works on everything.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the framework: which step failed, and in [`source`](StdError::source) why.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    Fatal,
}

impl Error {
    /// Makes an error that the person who starts the program has to mend: a wrong switch, file or key.
    ///
    /// It ends the program with exit status 2.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message.into())
    }

    /// Makes an error of something that went wrong while running.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Kind::Failed, message.into())
    }

    /// Makes an error after which it is no use to go on.
    ///
    /// It ends the loop, and the program with exit status 1, where another one would fail a round.
    pub fn fatal(message: impl Into<String>) -> Error {
        Error::new(Kind::Fatal, message.into())
    }

    /// Makes the error of what was given up because the loop was asked to end. It fails no round.
    pub fn interrupted() -> Error {
        Error::failed("interrupted").caused_by(Interrupted)
    }

    fn new(kind: Kind, message: String) -> Error {
        Error(Box::new(Inner { kind, message, source: None }))
    }

    /// Makes an error of something that went wrong while running out of a usage error: what is at fault may mend itself.
    pub(crate) fn may_pass(mut self) -> Error {
        self.0.kind = Kind::Failed;
        self
    }

    /// Makes a usage error out of one that is met at the start, where a person waits who can mend it.
    #[cfg(feature = "program")]
    pub(crate) fn at_start(mut self) -> Error {
        self.0.kind = Kind::Usage;
        self
    }

    /// Sets the cause.
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Tells whether the way the program was started or configured is at fault.
    pub fn is_usage(&self) -> bool {
        self.0.kind == Kind::Usage
    }

    /// Returns the SQLSTATE of the database error behind this one, if there is one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        sqlstate(self)
    }
}

/// Shows the whole chain as one line, which is what a `main` that returns the error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&describe(self)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// Renders an error and its causes as one line, each cause once, with the SQLSTATE of a database error.
///
/// It is fit for a log that many may read. What a server says of rows is left out: the detail of an error that has to
/// do with data (`Failing row contains …`), the values in the message of a data exception (class 22 of SQLSTATEs),
/// which are shown as `"…"`, and the detail and hint that a function raises. Each text of a server is cut after 1000
/// characters. Of a [`DataError`], its text for logs is shown. [`describe_in_full`] has everything.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    render(error, false)
}

/// As [`describe`], with everything that the server says: for who may read the data, such as whoever may read the
/// database.
pub fn describe_in_full(error: &(dyn StdError + 'static)) -> String {
    render(error, true)
}

fn render(error: &(dyn StdError + 'static), in_full: bool) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = step(error, in_full);
        if !line.ends_with(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
        next = if db_error(error).is_some() { None } else { error.source() };
    }
    line
}

/// Tells whether a usage error is anywhere in a chain.
pub(crate) fn is_usage(error: &(dyn StdError + 'static)) -> bool {
    has_kind(error, Kind::Usage)
}

/// Tells whether an error ends the loop: whether a usage error or a fatal one is anywhere in its chain.
pub fn is_final(error: &(dyn StdError + 'static)) -> bool {
    has_kind(error, Kind::Usage) || has_kind(error, Kind::Fatal)
}

fn has_kind(error: &(dyn StdError + 'static), kind: Kind) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<Error>().is_some_and(|error| error.0.kind == kind) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The cause of what failed only because the loop was asked to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the program was asked to end")
    }
}

impl StdError for Interrupted {}

/// Tells whether an error came only because the loop was asked to end.
pub fn is_interrupted(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Interrupted>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns the SQLSTATE of the first database error in a chain.
pub fn sqlstate<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a SqlState> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<postgres::Error>() {
            return error.code();
        }
        next = error.source();
    }
    None
}

/// Tells whether the connection to the server is what failed: refused, lost, or ended by the server.
pub fn is_connection_error(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<postgres::Error>() {
            let ended = |state: &SqlState| state.code().starts_with("08") || state.code().starts_with("57P");
            return error.code().map_or(error.is_closed() || caused_by_io(error), ended);
        }
        if let Some(refusals) = error.downcast_ref::<Refusals>() {
            return refusals.are_connection_errors();
        }
        next = error.source();
    }
    false
}

fn caused_by_io(error: &postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>()) && !TlsFailure::is_behind(error)
}

/// Returns what the server said, which is all there is to say.
fn db_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a DbError> {
    error.downcast_ref::<postgres::Error>()?.as_db_error()
}

fn step(error: &(dyn StdError + 'static), in_full: bool) -> String {
    let text = match (db_error(error), error.downcast_ref::<DataError>()) {
        (Some(error), _) if in_full => server_error::in_full(error),
        (Some(error), _) => server_error::for_log(error),
        (None, Some(error)) if !in_full => error.for_log().to_owned(),
        (None, _) => error.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_each_other_once_on_one_line() {
        let io = std::io::Error::other("no space\nleft on device");
        let error = Error::failed("cannot write `x.log`").caused_by(io);
        let error = Error::usage("cannot start").caused_by(error);
        assert_eq!(describe(&error), "cannot start: cannot write `x.log`: no space left on device");
        assert!(error.is_usage());
        assert!(error.sqlstate().is_none());
    }

    #[test]
    fn a_cause_that_is_already_told_is_not_told_again() {
        let cause = Error::failed("connection refused");
        let error = Error::failed("src_db: connection refused").caused_by(cause);
        assert_eq!(describe(&error), "src_db: connection refused");
    }
}
