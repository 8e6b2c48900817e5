use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Which of the two schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one that this crate carries.
    Own,
    /// The one that `CREATE EXTENSION pgq` makes.
    Extension,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Own => "own",
            Kind::Extension => "extension",
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Reads `own` or `extension`.
    ///
    /// # Errors
    ///
    /// On anything else.
    fn from_str(name: &str) -> Result<Kind, Error> {
        match name {
            "own" => Ok(Kind::Own),
            "extension" => Ok(Kind::Extension),
            _ => Err(Error::usage(format!("unknown schema `{name}`, only own and extension"))),
        }
    }
}

/// What an installation did to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The schema was not there before.
    Installed,
    /// The schema was there in an older form; its queues and events are kept.
    Updated,
    /// The schema was there as it should be.
    Unchanged,
}

/// What an installation found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The schema that is installed now.
    pub kind: Kind,
    /// What was done to get there.
    pub change: Change,
    /// Whether the roles `pgq_reader`, `pgq_writer` and `pgq_admin` are there. Without them nobody but the
    /// schema's owner may insert events, consume or administer, until the owner grants it.
    pub roles: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.change {
            Change::Installed => "installed",
            Change::Updated => "brought up to date",
            Change::Unchanged => "already installed",
        })?;
        f.write_str(match self.kind {
            Kind::Own => ", own schema",
            Kind::Extension => ", extension",
        })?;
        if self.roles {
            return Ok(());
        }
        f.write_str(
            "; roles pgq_reader, pgq_writer and pgq_admin may not be created, so nothing is granted to them",
        )
    }
}
