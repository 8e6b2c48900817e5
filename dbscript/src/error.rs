//! The crate's error, and how a chain of errors becomes one line.

pub(crate) mod class;
mod server_error;
pub(crate) mod tls_failure;

use std::error::Error as StdError;
use std::fmt;

use postgres::error::{DbError, SqlState};

use self::tls_failure::TlsFailure;
use crate::data_error::DataError;
use crate::text::printable::one_line;

/// Any error, as user code returns it; `?` works on everything.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the framework: which step failed, and in [`source`](StdError::source) why.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something failed while running; the cause says what. The round fails.
    Failed,
    /// A server cannot be reached.
    Connection,
    /// The loop was asked to end. No round fails.
    Interrupted,
    /// The way the program was started or configured is wrong. Ends the program with exit status 2.
    Usage,
    /// Continuing makes no sense. Ends the loop, and the program with exit status 1.
    Fatal,
}

impl Error {
    /// Makes an error that the person who starts the program has to mend: a wrong switch, file or key.
    ///
    /// It ends the program with exit status 2.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, message.into())
    }

    /// Makes an error of something that went wrong while running.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Failed, message.into())
    }

    /// Makes an error of a server that cannot be reached.
    pub(crate) fn connection(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Connection, message.into())
    }

    /// Makes an error after which it is no use to go on.
    ///
    /// It ends the loop, and the program with exit status 1, where another one would fail a round.
    pub fn fatal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Fatal, message.into())
    }

    /// Makes the error of what was given up because the loop was asked to end. It fails no round.
    pub fn interrupted() -> Error {
        Error::new(ErrorKind::Interrupted, "interrupted: the program was asked to end".to_owned())
    }

    fn new(kind: ErrorKind, message: String) -> Error {
        Error(Box::new(Inner { kind, message, source: None }))
    }

    /// Makes an error of something that went wrong while running out of a usage error: what is at fault may mend
    /// itself.
    pub(crate) fn may_pass(mut self) -> Error {
        self.0.kind = ErrorKind::Failed;
        self
    }

    /// Makes a usage error out of one that is met at the start, where a person waits who can mend it.
    #[cfg(feature = "skylog")]
    pub(crate) fn at_start(mut self) -> Error {
        self.0.kind = ErrorKind::Usage;
        self
    }

    /// Sets the cause.
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
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

/// Returns whether a usage error is anywhere in a chain.
pub(crate) fn is_usage(error: &(dyn StdError + 'static)) -> bool {
    has_kind(error, ErrorKind::Usage)
}

/// Returns whether an error ends the loop: whether a usage error or a fatal one is anywhere in its chain.
pub fn is_final(error: &(dyn StdError + 'static)) -> bool {
    has_kind(error, ErrorKind::Usage) || has_kind(error, ErrorKind::Fatal)
}

fn has_kind(error: &(dyn StdError + 'static), kind: ErrorKind) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<Error>().is_some_and(|error| error.0.kind == kind) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Returns whether an error came only because the loop was asked to end.
pub fn is_interrupted(error: &(dyn StdError + 'static)) -> bool {
    has_kind(error, ErrorKind::Interrupted)
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

/// Returns whether the connection to the server is what failed: refused, lost, or ended by the server.
pub fn is_connection_error(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<postgres::Error>() {
            let ended = |state: &SqlState| state.code().starts_with("08") || state.code().starts_with("57P");
            return error.code().map_or(error.is_closed() || caused_by_io(error), ended);
        }
        if error.downcast_ref::<Error>().is_some_and(|error| error.0.kind == ErrorKind::Connection) {
            return true;
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
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.sqlstate().is_none());
    }

    #[test]
    fn a_cause_that_is_already_told_is_not_told_again() {
        let cause = Error::failed("connection refused");
        let error = Error::failed("src_db: connection refused").caused_by(cause);
        assert_eq!(describe(&error), "src_db: connection refused");
    }
}
