//! The crate's error.

use std::fmt;

use pgq::{BatchInfo, BoxError};

/// An error of tracking batches on the target database.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    what: String,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    NotInstalled,
    LostPosition,
}

impl Error {
    pub(crate) fn failed(what: impl Into<String>, source: impl Into<BoxError>) -> Error {
        Error(Box::new(Inner { kind: Kind::Failed, what: what.into(), source: Some(source.into()) }))
    }

    pub(crate) fn not_installed() -> Error {
        let what = "schema `pgq_ext` is not installed in this database; `pgqadm CONFIG.ini install` or \
                    `pgq_ext::schema::install` installs it";
        Error(Box::new(Inner { kind: Kind::NotInstalled, what: what.to_owned(), source: None }))
    }

    pub(crate) fn outdated() -> Error {
        let what = "schema `pgq_ext` knows no subconsumers; `pgqadm CONFIG.ini install` or \
                    `pgq_ext::schema::install` brings it up to date";
        Error(Box::new(Inner { kind: Kind::NotInstalled, what: what.to_owned(), source: None }))
    }

    pub(crate) fn refused(what: String) -> Error {
        Error(Box::new(Inner { kind: Kind::Failed, what, source: None }))
    }

    pub(crate) fn lost_position(consumer: &str, batch: &BatchInfo, target: i64) -> Error {
        let what = format!(
            "consumer `{consumer}` has lost its position: batch {} is ticks {}..{}, the target is at tick {target}; \
             --rewind moves the source to tick {target}, --reset forgets the target's tick",
            batch.id, batch.prev_tick, batch.tick
        );
        Error(Box::new(Inner { kind: Kind::LostPosition, what, source: None }))
    }

    /// Tells whether schema `pgq_ext` is missing, or too old.
    pub fn is_not_installed(&self) -> bool {
        self.0.kind == Kind::NotInstalled
    }

    /// Tells whether source and target have drifted apart.
    pub fn is_lost_position(&self) -> bool {
        self.0.kind == Kind::LostPosition
    }
}

impl From<pgq::Error> for Error {
    fn from(error: pgq::Error) -> Error {
        Error::failed("the source failed", error)
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
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
