//! The crate's error.

use std::fmt;
use std::sync::Arc;

use dbscript::BoxError;
use postgres::error::SqlState;

/// An error of a queue operation: which step failed, on which queue, batch and event; the cause is in
/// [`source`](std::error::Error::source). Clones share the cause.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// Whether who is busy has no right to what it does.
    by_strangers: bool,
    what: String,
    queue: Option<String>,
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
    /// A setting or an argument is wrong.
    Usage,
    /// The schema, the queue or the consumer's registration is missing.
    Missing,
    /// Another process is consuming under the same name.
    Busy,
    /// What an event carries is wrong; retrying does not help.
    Payload,
    /// An object in the database belongs to a role that could use it to get the rights of the connection's role.
    Untrusted,
}

impl Error {
    /// Makes an error of something that went wrong while running.
    pub(crate) fn failed(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Failed, what.into())
    }

    /// Makes an error of a wrong setting.
    pub(crate) fn usage(what: impl Into<String>) -> Error {
        let what = what.into();
        // The framework knows its own kind of usage error, and tells each text once.
        let cause = dbscript::Error::usage(what.clone());
        Error::new(ErrorKind::Usage, what).caused_by(cause)
    }

    /// Makes an error of a schema, queue or registration that is not there.
    pub(crate) fn missing(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Missing, what.into())
    }

    /// Makes an error of a consumer that another process runs.
    pub(crate) fn busy(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Busy, what.into())
    }

    /// Notes that no other process of the consumer is busy, but somebody who only has its lock.
    pub(crate) fn by_strangers(mut self) -> Error {
        self.0.by_strangers = true;
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

    /// Lets an error end the loop that it comes from.
    pub(crate) fn fatal(self) -> Error {
        // The framework knows its own kind of fatal error, and tells each text once.
        let cause = dbscript::Error::fatal(dbscript::describe(&self));
        self.caused_by(cause)
    }

    fn new(kind: ErrorKind, what: String) -> Error {
        Error(Box::new(Inner {
            kind,
            by_strangers: false,
            what,
            queue: None,
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
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
        while let Some(error) = next {
            if let Some(known) = error.downcast_ref::<Error>() {
                self.0.kind = known.0.kind;
                break;
            }
            next = error.source();
        }
        self.caused_by(source)
    }

    pub(crate) fn on_queue(mut self, queue: &str) -> Error {
        self.0.queue = Some(queue.to_owned());
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

    /// Returns whether the consumer's lock is held by somebody who may not consume.
    pub(crate) fn is_by_strangers(&self) -> bool {
        self.0.by_strangers
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

    /// Returns the batch's id.
    pub fn batch(&self) -> Option<i64> {
        self.0.batch
    }

    /// Returns the event's id.
    pub fn event(&self) -> Option<i64> {
        self.0.event
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
        let mut separator = " (";
        if let Some(queue) = &self.0.queue {
            write!(f, "{separator}queue `{queue}`")?;
            separator = ", ";
        }
        for (name, id) in [("batch", self.0.batch), ("event", self.0.event)] {
            if let Some(id) = id {
                write!(f, "{separator}{name} {id}")?;
                separator = ", ";
            }
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
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
        let error = Error::failed("cannot read").on_queue("q").in_batch(5).at_event(7).caused_by("gone");
        assert_eq!(error.to_string(), "cannot read (queue `q`, batch 5, event 7)");
        assert_eq!(dbscript::describe(&error), "cannot read (queue `q`, batch 5, event 7): gone");
        assert_eq!((error.queue(), error.batch(), error.event()), (Some("q"), Some(5), Some(7)));
        assert_eq!(Error::missing("no queue").to_string(), "no queue");
        assert_eq!(Error::busy("taken").in_batch(5).to_string(), "taken (batch 5)");
    }
}
