//! The crate's error, and the rendering of a chain of errors as one line.

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

/// Any error of user code. The operator `?` converts every error into it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of the framework. `Display` shows the failed step, [`source`](StdError::source) returns the cause.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
    /// True if `source` is the failed step itself, to which this error only adds a kind.
    is_source: bool,
}

/// The kind of an error, which alone decides how a loop and a program react.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A step failed at run time. The round fails.
    Failed,
    /// A server cannot be reached. The round fails.
    Connection,
    /// The loop is stopping. The round does not count as failed.
    Interrupted,
    /// The command line or the configuration is wrong. Ends the program with exit status 2.
    Usage,
    /// The loop must not continue. Ends the loop, and the program with exit status 1.
    Fatal,
}

impl Error {
    /// Gives a kind to another error. The other error is still shown as the failed step, with its own causes.
    ///
    /// [`into_inner`](Error::into_inner) returns the other error.
    pub fn new(kind: ErrorKind, error: impl Into<BoxError>) -> Error {
        let error = error.into();
        Error(Box::new(Inner { kind, message: error.to_string(), source: Some(error), is_source: true }))
    }

    /// Makes an error that the operator must correct: a wrong switch, file or key.
    ///
    /// It ends the program with exit status 2.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Usage, message.into())
    }

    /// Makes an error of a step that failed at run time.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Failed, message.into())
    }

    /// Makes an error of a server that cannot be reached.
    pub(crate) fn connection(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Connection, message.into())
    }

    /// Makes an error after which the loop must not continue.
    ///
    /// It ends the loop, and the program with exit status 1. Other errors, except usage errors, only fail the round.
    pub fn fatal(message: impl Into<String>) -> Error {
        Error::of_step(ErrorKind::Fatal, message.into())
    }

    /// Makes the error of work that ends because the loop is stopping. The round does not count as failed.
    pub fn interrupted() -> Error {
        let message = "interrupted: the program is stopping";
        Error::of_step(ErrorKind::Interrupted, message.to_owned())
    }

    fn of_step(kind: ErrorKind, message: String) -> Error {
        Error(Box::new(Inner { kind, message, source: None, is_source: false }))
    }

    /// Sets the kind, regardless of the cause.
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

    /// Returns the error that was passed to [`new`](Error::new), or this error if another function has made it.
    pub fn into_inner(mut self) -> BoxError {
        match self.0.source.take_if(|_| self.0.is_source) {
            Some(error) => error,
            None => self.into(),
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the SQLSTATE of the database error among the causes, if there is one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        sqlstate(self)
    }
}

/// Shows the whole chain as one line, since a `main` that returns the error prints this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&describe(self)))
    }
}

/// Shows this step alone, and with `{:#}` the causes behind it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.write_str(&describe(self));
        }
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
/// The line is suitable for a log, since it omits the data of rows: the detail of an error about data (`Failing row
/// contains …`), the values in the message of a data exception (SQLSTATE class 22), which are shown as `"…"`, and the
/// detail and hint of an error that a function raises. Each text of a server is cut after 1,000 characters. A
/// [`DataError`] is shown with its text for logs. [`describe_in_full`] omits nothing.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    render(error, false)
}

/// Renders an error as [`describe`] does, but with the complete report of the server. The line may contain data of
/// rows, so only readers with access to the database may see it.
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

/// Returns an error and its causes. An error of [`Error::new`] is followed by the error that was passed to it.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> + 'a {
    successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error = *error;
        inner(error).or_else(|| error.source())
    })
}

/// Returns the error that was passed to [`Error::new`], if this function made `error`.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let error = error.downcast_ref::<Error>().filter(|error| error.0.is_source)?;
    error.0.source.as_ref().map(|source| &**source as _)
}

/// Returns the kind of the first [`Error`] in a chain of causes, which decides how a loop reacts. Returns `None` if the
/// chain contains no [`Error`].
pub fn kind_of(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    chain(error).find_map(|error| error.downcast_ref::<Error>()).map(Error::kind)
}

/// Returns true if an error is a usage error.
#[cfg(feature = "program")]
pub(crate) fn is_usage(error: &(dyn StdError + 'static)) -> bool {
    kind_of(error) == Some(ErrorKind::Usage)
}

/// Returns true if an error ends the loop, because the first [`Error`] in its chain is a usage error or a fatal one.
pub fn is_final(error: &(dyn StdError + 'static)) -> bool {
    matches!(kind_of(error), Some(ErrorKind::Usage | ErrorKind::Fatal))
}

/// Returns true if an error only reports that the loop is stopping.
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

/// Returns true if the connection to the server failed: refused, lost, or ended by the server.
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

/// Returns the server's message, in full and for logs. The causes of such an error add nothing, so a rendered chain ends
/// with it.
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
