//! The crate's error.

use std::fmt;

use pgq::{BatchInfo, BoxError, Checkpoint};
use postgres::error::SqlState;

/// An error of tracking batches on the target database.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: String,
    source: Option<BoxError>,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A step failed. The cause is in [`source`](std::error::Error::source).
    Failed,
    /// Schema `pgq_ext` is missing or too old.
    NotInstalled,
    /// The position on the target does not match the source.
    LostPosition,
}

impl Error {
    pub(crate) fn failed(what: impl Into<String>, source: impl Into<BoxError>) -> Error {
        Error(Box::new(Inner { kind: ErrorKind::Failed, what: what.into(), source: Some(source.into()) }))
    }

    pub(crate) fn not_installed() -> Error {
        let what = "schema `pgq_ext` is not installed in this database; `pgqadm CONFIG.ini install` or \
                    `pgq_ext::schema::install` installs it";
        Error(Box::new(Inner { kind: ErrorKind::NotInstalled, what: what.to_owned(), source: None }))
    }

    pub(crate) fn outdated() -> Error {
        let what = "schema `pgq_ext` has no functions for subconsumers; `pgqadm CONFIG.ini install` or \
                    `pgq_ext::schema::install` brings it up to date";
        Error(Box::new(Inner { kind: ErrorKind::NotInstalled, what: what.to_owned(), source: None }))
    }

    pub(crate) fn refused(what: String) -> Error {
        Error(Box::new(Inner { kind: ErrorKind::Failed, what, source: None }))
    }

    /// Makes the error of a statement that the server has refused for this reason.
    pub(crate) fn of_statement(
        consumer: &str,
        what: &str,
        state: Option<SqlState>,
        error: impl Into<BoxError>,
    ) -> Error {
        let what = format!("consumer `{consumer}`: {what}");
        match state {
            Some(SqlState::UNDEFINED_FUNCTION) => Error::outdated_by(what, error),
            Some(SqlState::INSUFFICIENT_PRIVILEGE) => Error::refused_by(what, error),
            Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => {
                let what = format!("{what}: it has lost its position");
                Error(Box::new(Inner { kind: ErrorKind::LostPosition, what, source: Some(error.into()) }))
            }
            _ => Error::failed(what, error),
        }
    }

    /// Makes the error of a call that the program must not make. It ends the consumer's loop.
    #[cfg(any(feature = "sqlx", feature = "tokio"))]
    pub(crate) fn misused(what: &str, why: impl Into<String>) -> Error {
        Error::failed(what, dbscript::Error::usage(why))
    }

    /// Makes the error of a schema that lacks a function.
    fn outdated_by(what: String, error: impl Into<BoxError>) -> Error {
        let what = format!(
            "{what}: schema `pgq_ext` is missing, too old or another PgQ's; `pgqadm CONFIG.ini install` or \
             `pgq_ext::schema::install` brings it up to date"
        );
        Error(Box::new(Inner { kind: ErrorKind::NotInstalled, what, source: Some(error.into()) }))
    }

    /// Makes the error of a role, quoted, that may not use the schema.
    pub(crate) fn not_granted(role: &str) -> Error {
        Error::refused(format!(
            "role {role} may not use schema `pgq_ext`: only its owner and members of `pgq_writer` may; \
             `grant pgq_writer to {role}` lets it"
        ))
    }

    /// Makes the error of a statement for which the role lacks a right.
    fn refused_by(what: String, error: impl Into<BoxError>) -> Error {
        Error::failed(
            format!("{what}: the role of the target lacks a right, `grant pgq_writer` gives it"),
            error,
        )
    }

    pub(crate) fn lost_position(consumer: &str, batch: &BatchInfo, target: &Checkpoint) -> Error {
        let says = (format!("is at tick {}", target.tick), format!("the target has {target}"));
        let remedy =
            "--rewind moves the source there if it has that very tick, --reset forgets the target's tick";
        Error::apart(consumer, batch, says, remedy)
    }

    /// Makes the error of a batch that overlaps the applied ones.
    pub(crate) fn lost_batches(consumer: &str, batch: &BatchInfo, target: &Checkpoint) -> Error {
        let says =
            (format!("has batches up to tick {}", target.tick), format!("the target's last is {target}"));
        let remedy = "`pgqadm register --at` moves the source past the target's batches, --reset forgets the target's \
                      batches, so that this one is applied";
        Error::apart(consumer, batch, says, remedy)
    }

    /// Makes the error of a batch that does not match the target's record, with the times of both.
    fn apart(consumer: &str, batch: &BatchInfo, (short, full): (String, String), remedy: &str) -> Error {
        let (start, end) = (Checkpoint::start_of(batch), Checkpoint::end_of(batch));
        Error::lost(
            consumer,
            format!(
                "batch {} is ticks {}..{}, the target {short}; the batch goes from {start} to {end}, {full}; {remedy}",
                batch.id, batch.prev_tick, batch.tick
            ),
        )
    }

    pub(crate) fn left_out(consumer: &str, batch: &BatchInfo, target: &Checkpoint) -> Error {
        let what = format!(
            "the target has batches up to {target}, batch {} begins at {}, and the events between are not applied, since \
             the consumer was moved on or the target was restored; `pgqadm register --at {}` moves the source back if it \
             has that tick, --reset goes on without these events",
            batch.id,
            Checkpoint::start_of(batch),
            target.tick
        );
        Error::lost(consumer, what)
    }

    pub(crate) fn lost(consumer: &str, why: String) -> Error {
        let what = format!("consumer `{consumer}` has lost its position: {why}");
        Error(Box::new(Inner { kind: ErrorKind::LostPosition, what, source: None }))
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl From<pgq::Error> for Error {
    fn from(error: pgq::Error) -> Error {
        Error::failed("the source failed", error)
    }
}

/// Keeps the kind of the causes, by which a program ends.
impl From<Error> for dbscript::Error {
    fn from(error: Error) -> dbscript::Error {
        dbscript::Error::from(BoxError::from(error))
    }
}

/// Formats the whole chain as one line. A `main` that returns the error prints that line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dbscript::one_line(&dbscript::describe(self)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
