//! The crate's error.

use std::fmt;
use std::sync::Arc;

use dbscript::BoxError;
use postgres::error::SqlState;

/// An error of a queue operation: which step failed, on which queue, for which consumer, batch and event; the cause is
/// in [`source`](std::error::Error::source). Clones share the cause.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// True if a role without the right to consume holds the lock of a busy consumer.
    by_unentitled_role: bool,
    what: String,
    queue: Option<String>,
    consumer: Option<String>,
    batch: Option<i64>,
    event: Option<i64>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something failed; the cause says what.
    Failed,
    /// A setting or an argument is wrong. Ends a program or a consumer's loop at its start; an error that a handler
    /// returns is retried.
    Usage,
    /// The schema, the queue or the consumer's registration is missing.
    Missing,
    /// Another process is consuming under the same name.
    Busy,
    /// What an event carries is wrong; retrying does not help.
    Payload,
    /// The handler and the consumer's settings do not fit together. Ends the consumer's loop.
    Misconfigured,
    /// An object in the database belongs to a role that could use it to get the rights of the connection's role.
    Untrusted,
}

impl Error {
    /// Makes an error of something that went wrong while running.
    pub(crate) fn failed(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Failed, what.into())
    }

    /// Makes an error of a wrong setting or argument.
    pub(crate) fn usage(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, what.into())
    }

    /// Makes an error of a handler that does not fit the consumer's settings.
    pub(crate) fn misconfigured(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Misconfigured, what.into())
    }

    /// Makes an error of a schema, queue or registration that is not there.
    pub(crate) fn missing(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Missing, what.into())
    }

    /// Makes an error of a consumer that another process runs.
    pub(crate) fn busy(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Busy, what.into())
    }

    /// Records that a role without the right to consume holds the consumer's lock.
    pub(crate) fn by_unentitled_role(mut self) -> Error {
        self.0.by_unentitled_role = true;
        self
    }

    /// Makes an error of what an event carries.
    pub(crate) fn payload(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Payload, what.into())
    }

    /// Makes an error of code that a role must not run with its rights.
    pub(crate) fn untrusted(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Untrusted, what.into())
    }

    /// Makes an error of a part of the program that has failed, such as a worker: the part's own error, or one of the
    /// same kind. A part that a handler starts must not end the handler's loop, so the cause is an ordinary failure.
    pub(crate) fn of_part(what: &str, error: BoxError) -> Error {
        let error = match error.downcast::<dbscript::Error>() {
            Ok(error) => error.into_inner(),
            Err(error) => error,
        };
        match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => {
                let is_usage = dbscript::kind_of(&*error) == Some(dbscript::ErrorKind::Usage);
                let kind = if is_usage { ErrorKind::Usage } else { ErrorKind::Failed };
                let mut error = Error::new(kind, what.to_owned()).made_of(contained(error));
                // The settings of the part are wrong, not those of the loop whose handler started it.
                if error.0.kind == ErrorKind::Misconfigured {
                    error.0.kind = ErrorKind::Usage;
                }
                error
            }
        }
    }

    fn new(kind: ErrorKind, what: String) -> Error {
        Error(Box::new(Inner {
            kind,
            by_unentitled_role: false,
            what,
            queue: None,
            consumer: None,
            batch: None,
            event: None,
            source: None,
        }))
    }

    pub(crate) fn caused_by(mut self, source: impl Into<BoxError>) -> Error {
        self.0.source = Some(source.into().into());
        self
    }

    /// As [`caused_by`](Error::caused_by), and of the kind that the first of this crate's errors behind it has.
    pub(crate) fn made_of(mut self, source: BoxError) -> Error {
        if let Some(behind) = first(&*source) {
            self.0.kind = behind.0.kind;
        }
        self.caused_by(source)
    }

    /// Returns whether the error, or the first of this crate's errors behind it, is that of a handler which does not
    /// fit the consumer's settings.
    pub(crate) fn is_misconfigured(error: &(dyn std::error::Error + 'static)) -> bool {
        first(error).is_some_and(|error| error.0.kind == ErrorKind::Misconfigured)
    }

    pub(crate) fn on_queue(mut self, queue: &str) -> Error {
        self.0.queue = Some(queue.to_owned());
        self
    }

    pub(crate) fn of_consumer(mut self, consumer: &str) -> Error {
        self.0.consumer = Some(consumer.to_owned());
        self
    }

    pub(crate) fn in_batch(mut self, batch: i64) -> Error {
        self.0.batch = Some(batch);
        self
    }

    pub(crate) fn at_event(mut self, event: i64) -> Error {
        self.0.event = Some(event);
        self
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns true if a role without the right to consume holds the consumer's lock.
    pub(crate) fn is_by_unentitled_role(&self) -> bool {
        self.0.by_unentitled_role
    }

    /// Returns whether the connection to the server is what failed.
    pub fn is_connection(&self) -> bool {
        dbscript::is_connection_error(self)
    }

    /// Returns the SQLSTATE of the database error behind this one, if there is one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        dbscript::sqlstate(self)
    }

    /// Returns the queue.
    pub fn queue(&self) -> Option<&str> {
        self.0.queue.as_deref()
    }

    /// Returns the consumer's name, with the subconsumer's if it is one.
    pub fn consumer(&self) -> Option<&str> {
        self.0.consumer.as_deref()
    }

    /// Returns the batch's id.
    pub fn batch(&self) -> Option<i64> {
        self.0.batch
    }

    /// Returns the event's id.
    pub fn event(&self) -> Option<i64> {
        self.0.event
    }
}

/// The place of an operation, for its errors: the queue, and the consumer and the batch if it has them.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    queue: &'a str,
    consumer: Option<&'a str>,
    batch: Option<i64>,
}

impl<'a> At<'a> {
    /// Makes the place of an operation on a queue.
    pub(crate) fn queue(queue: &'a str) -> At<'a> {
        At { queue, consumer: None, batch: None }
    }

    pub(crate) fn consumer(self, consumer: &'a str) -> At<'a> {
        At { consumer: Some(consumer), ..self }
    }

    pub(crate) fn batch(self, batch: i64) -> At<'a> {
        At { batch: Some(batch), ..self }
    }

    /// Makes the error of a step that failed here.
    pub(crate) fn failed(self, what: impl Into<String>, cause: impl Into<BoxError>) -> Error {
        self.failure(what).caused_by(cause)
    }

    /// Makes the error of a step that failed here without a cause of its own.
    pub(crate) fn failure(self, what: impl Into<String>) -> Error {
        self.add_to(Error::failed(what))
    }

    /// Adds the place to an error.
    pub(crate) fn add_to(self, error: Error) -> Error {
        let error = error.on_queue(self.queue);
        let error = self.consumer.into_iter().fold(error, Error::of_consumer);
        self.batch.into_iter().fold(error, Error::in_batch)
    }
}

/// Shows the whole chain as one line, which is what a `main` that returns the error prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dbscript::one_line(&dbscript::describe(self)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        let Inner { queue, consumer, batch, event, .. } = &*self.0;
        match place(queue.as_deref(), consumer.as_deref(), *batch, *event) {
            place if place.is_empty() => Ok(()),
            place => write!(f, " ({place})"),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(Some(self.queue), self.consumer, self.batch, None))
    }
}

/// Names the parts of a place that are known.
fn place(queue: Option<&str>, consumer: Option<&str>, batch: Option<i64>, event: Option<i64>) -> String {
    let parts = [
        queue.map(|queue| format!("queue `{queue}`")),
        consumer.map(|consumer| format!("consumer `{consumer}`")),
        batch.map(|batch| format!("batch {batch}")),
        event.map(|event| format!("event {event}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// Lets an error that has ended a loop end no other loop.
pub(crate) fn contained(error: BoxError) -> BoxError {
    match dbscript::is_final(&*error) {
        true => dbscript::Error::from(error).with_kind(dbscript::ErrorKind::Failed).into(),
        false => error,
    }
}

/// Returns the first of this crate's errors in a chain.
fn first<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Gives the error the kind by which a program ends: the kind of its cause, and for what is wrong in the program's
/// configuration or arguments the one of usage.
impl From<Error> for dbscript::Error {
    fn from(error: Error) -> dbscript::Error {
        match error.kind() {
            ErrorKind::Usage | ErrorKind::Misconfigured => {
                dbscript::Error::new(dbscript::ErrorKind::Usage, error)
            }
            _ => dbscript::Error::from(BoxError::from(error)),
        }
    }
}

/// Takes the database error out of the I/O error that a COPY reader or writer wraps it in.
pub(crate) fn unwrap_io(error: std::io::Error) -> BoxError {
    match error.into_inner() {
        Some(inner) => inner,
        None => "the connection failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_queue_batch_and_event() {
        let at = At::queue("q").batch(5);
        let error = at.failed("cannot read", "gone").at_event(7);
        assert_eq!(error.to_string(), "cannot read (queue `q`, batch 5, event 7)");
        let of_consumer = at.consumer("c").add_to(Error::failed("cannot read"));
        assert_eq!(of_consumer.to_string(), "cannot read (queue `q`, consumer `c`, batch 5)");
        assert_eq!(dbscript::describe(&error), "cannot read (queue `q`, batch 5, event 7): gone");
        assert_eq!((error.queue(), error.batch(), error.event()), (Some("q"), Some(5), Some(7)));
        assert_eq!(Error::missing("no queue").to_string(), "no queue");
        assert_eq!(Error::busy("taken").in_batch(5).to_string(), "taken (batch 5)");
    }

    #[test]
    fn a_program_ends_by_the_kind_of_the_error_itself() {
        let ended = |error: Error| dbscript::Error::from(error);
        let usage = ended(Error::usage("no such mode").caused_by("gone"));
        assert_eq!(usage.kind(), dbscript::ErrorKind::Usage);
        assert_eq!(dbscript::describe(&usage), "no such mode: gone");
        assert_eq!(ended(Error::missing("no queue")).kind(), dbscript::ErrorKind::Failed);
        let by_hand = Error::failed("cannot process").caused_by(dbscript::Error::fatal("no use"));
        assert_eq!(ended(by_hand).kind(), dbscript::ErrorKind::Fatal);
    }

    #[test]
    fn the_error_of_a_part_ends_no_other_loop() {
        let part = dbscript::Error::failed("queue database").caused_by(dbscript::Error::usage("no host"));
        let error = Error::of_part("the worker failed", part.into());
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(dbscript::describe(&error), "the worker failed: queue database: no host");
        assert!(!dbscript::is_final(&error));
        let own = dbscript::Error::new(dbscript::ErrorKind::Usage, Error::usage("no such mode"));
        assert_eq!(Error::of_part("the worker failed", own.into()).to_string(), "no such mode");
    }
}
