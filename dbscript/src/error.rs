//! The crate's error, and how a chain of errors becomes one line.

pub(crate) mod driver_error;
pub(crate) mod pattern;
pub(crate) mod server_error;
pub(crate) mod state_class;
pub(crate) mod tls_failure;

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use postgres::error::SqlState;

use self::driver_error::DriverError;
use self::server_error::ServerMessage;
use self::state_class::StateClass;
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
    /// Whether `source` is the step itself, of which this error is the kind.
    is_source: bool,
}

/// The kind of an error, which alone decides what a loop and a program do.
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
    /// Makes an error of a kind out of another error, which stays the step that is shown, with its own causes.
    ///
    /// [`into_inner`](Error::into_inner) returns the other error.
    pub fn new(kind: ErrorKind, error: impl Into<BoxError>) -> Error {
        let error = error.into();
        Error(Box::new(Inner { kind, message: error.to_string(), source: Some(error), is_source: true }))
    }

    /// Makes an error that the person who starts the program has to mend: a wrong switch, file or key.
    ///
    /// It ends the program with exit status 2.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Usage, message.into())
    }

    /// Makes an error of something that went wrong while running.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Failed, message.into())
    }

    /// Makes an error of a server that cannot be reached.
    pub(crate) fn connection(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Connection, message.into())
    }

    /// Makes an error after which the loop must not continue.
    ///
    /// It ends the loop, and the program with exit status 1, where another one would fail a round.
    pub fn fatal(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Fatal, message.into())
    }

    /// Makes the error of work that stops because the loop was asked to end. It fails no round.
    pub fn interrupted() -> Error {
        let message = "interrupted: the program was asked to end";
        Error::of_step(ErrorKind::Interrupted, message.to_owned())
    }

    fn of_step(kind: ErrorKind, message: String) -> Error {
        Error(Box::new(Inner { kind, message, source: None, is_source: false }))
    }

    /// Sets the kind, whatever the cause is.
    pub fn with_kind(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    /// Sets the cause. An error that is only [`Failed`](ErrorKind::Failed) takes the kind of its cause.
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Error {
        let source = source.into();
        if self.0.kind == ErrorKind::Failed {
            self.0.kind = kind_of(&*source).unwrap_or(ErrorKind::Failed);
        }
        self.0.source = Some(match source.downcast::<Error>() {
            Ok(error) => error.into_inner(),
            Err(source) => source,
        });
        self.0.is_source = false;
        self
    }

    /// Returns the error that [`new`](Error::new) got, and any other error as it is.
    pub fn into_inner(mut self) -> BoxError {
        match self.0.source.take_if(|_| self.0.is_source) {
            Some(error) => error,
            None => self.into(),
        }
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
        let source: &(dyn StdError + 'static) = &**self.0.source.as_ref()?;
        if self.0.is_source { source.source() } else { Some(source) }
    }
}

/// Keeps an error of the framework as it is; any other error gets the kind of its causes.
impl From<BoxError> for Error {
    fn from(error: BoxError) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::new(kind_of(&*error).unwrap_or(ErrorKind::Failed), error),
        }
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
    for error in chain(error).filter(|error| inner(*error).is_none()) {
        let text = step(error, in_full);
        if !line.ends_with(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
        if server_message(error).is_some() {
            break;
        }
    }
    line
}

/// Returns an error and its causes. The error that an [`Error::new`] got follows it.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> + 'a {
    successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error = *error;
        inner(error).or_else(|| error.source())
    })
}

/// Returns the error that an [`Error::new`] got.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let error = error.downcast_ref::<Error>().filter(|error| error.0.is_source)?;
    error.0.source.as_ref().map(|source| &**source as _)
}

/// Returns the kind that an error has for a loop: that of the first [`Error`] in its chain; `None` without one.
pub fn kind_of(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    chain(error).find_map(|error| error.downcast_ref::<Error>()).map(Error::kind)
}

/// Returns whether an error is one of usage.
#[cfg(feature = "program")]
pub(crate) fn is_usage(error: &(dyn StdError + 'static)) -> bool {
    kind_of(error) == Some(ErrorKind::Usage)
}

/// Returns whether an error ends the loop: whether the first [`Error`] in its chain is a usage error or a fatal one.
pub fn is_final(error: &(dyn StdError + 'static)) -> bool {
    matches!(kind_of(error), Some(ErrorKind::Usage | ErrorKind::Fatal))
}

/// Returns whether an error came only because the loop was asked to end.
pub fn is_interrupted(error: &(dyn StdError + 'static)) -> bool {
    kind_of(error) == Some(ErrorKind::Interrupted)
}

/// Returns the SQLSTATE of the first database error in a chain.
pub fn sqlstate<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a SqlState> {
    chain(error).find_map(|error| match error.downcast_ref::<DriverError>() {
        Some(error) => Some(error.sqlstate()),
        None => error.downcast_ref::<postgres::Error>().map(postgres::Error::code),
    })?
}

/// Returns whether the connection to the server is what failed: refused, lost, or ended by the server.
pub fn is_connection_error(error: &(dyn StdError + 'static)) -> bool {
    for error in chain(error) {
        if let Some(error) = error.downcast_ref::<postgres::Error>() {
            let ended = |state| StateClass::Connection.contains(state);
            return error.code().map_or(error.is_closed() || caused_by_io(error), ended);
        }
        if let Some(error) = error.downcast_ref::<DriverError>() {
            return error.is_connection();
        }
        if error.downcast_ref::<Error>().is_some_and(|error| error.0.kind == ErrorKind::Connection) {
            return true;
        }
    }
    false
}

fn caused_by_io(error: &postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>()) && !TlsFailure::is_behind(error)
}

/// Returns the server's message, in full and for logs. Its causes add nothing.
fn server_message(error: &(dyn StdError + 'static)) -> Option<DataError> {
    if let Some(error) = error.downcast_ref::<DriverError>() {
        return error.message().cloned();
    }
    let message = ServerMessage::from(error.downcast_ref::<postgres::Error>()?.as_db_error()?);
    Some(DataError::new(server_error::in_full(&message), server_error::for_log(&message)))
}

fn step(error: &(dyn StdError + 'static), in_full: bool) -> String {
    let message = server_message(error);
    let text = match message.as_ref().or_else(|| error.downcast_ref()) {
        Some(error) if in_full => error.to_string(),
        Some(error) => error.for_log().to_owned(),
        None => error.to_string(),
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
    fn a_reported_cause_is_not_reported_again() {
        let cause = Error::failed("connection refused");
        let error = Error::failed("src_db: connection refused").caused_by(cause);
        assert_eq!(describe(&error), "src_db: connection refused");
    }

    /// An error of user code.
    #[derive(Debug)]
    struct Foreign(Error);

    impl fmt::Display for Foreign {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("foreign")
        }
    }

    impl StdError for Foreign {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_takes_the_kind_of_its_cause_unless_it_has_its_own() {
        let usage = || Error::usage("no such key");
        assert_eq!(Error::failed("cannot start").caused_by(usage()).kind(), ErrorKind::Usage);
        assert_eq!(Error::fatal("cannot start").caused_by(usage()).kind(), ErrorKind::Fatal);
        let contained = Error::failed("a part cannot start").caused_by(usage()).with_kind(ErrorKind::Failed);
        let foreign = Foreign(contained);
        assert!(!is_final(&foreign));
        assert_eq!(Error::failed("cannot start").caused_by(foreign).kind(), ErrorKind::Failed);
        assert!(is_final(&Foreign(usage())));
    }

    #[test]
    fn an_error_of_another_kind_stays_the_step_it_is() {
        let full = || Error::failed("cannot write").caused_by(std::io::Error::other("disk full"));
        let fatal = Error::new(ErrorKind::Fatal, full());
        assert_eq!((fatal.kind(), describe(&fatal)), (ErrorKind::Fatal, describe(&full())));
        assert!(fatal.source().is_some_and(|cause| cause.is::<std::io::Error>()));
        let located = Error::failed("job").caused_by(fatal);
        assert_eq!(
            (located.kind(), describe(&located)),
            (ErrorKind::Fatal, "job: cannot write: disk full".to_owned())
        );
        let io = Error::new(ErrorKind::Usage, std::io::Error::other("denied")).into_inner();
        assert!(io.is::<std::io::Error>());
        assert!(Error::usage("wrong").into_inner().is::<Error>());
    }

    #[test]
    fn a_wrapped_error_shows_no_data_in_logs() {
        let error = Error::new(ErrorKind::Fatal, DataError::quoting("no number: `4711`"));
        assert_eq!(describe(&error), "no number: `…`");
        assert_eq!(describe_in_full(&error), "no number: `4711`");
    }
}
