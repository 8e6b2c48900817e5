//! What an installation found and did.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

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
#[non_exhaustive]
pub enum Change {
    /// The schema was not there before.
    Installed,
    /// The schema was there in an older form; its queues and events are kept.
    Updated,
    /// The schema was there as it should be.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Installed => "installed",
            Change::Updated => "brought up to date",
            Change::Unchanged => "already installed",
        })
    }
}

/// What an installation found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The schema that is installed now.
    pub kind: Kind,
    /// What was done to get there.
    pub change: Change,
    /// What was done about failed events and cooperative consumers; `None` when they are not there and this role
    /// may not install them, since schema `pgq` belongs to another one.
    pub extras: Option<Change>,
    /// Whether the roles `pgq_reader`, `pgq_writer` and `pgq_admin` are there. Without them nobody but the
    /// schema's owner may insert events, consume or administer, until the owner grants it.
    pub roles: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}",
            self.change,
            match self.kind {
                Kind::Own => "own schema",
                Kind::Extension => "extension",
            }
        )?;
        match self.extras {
            Some(extras) if extras == self.change => {}
            Some(extras) => write!(f, "; failed events and cooperative consumers {extras}")?,
            None => f.write_str(
                "; failed events and cooperative consumers not installed, which takes the owner of schema pgq",
            )?,
        }
        if self.roles {
            return Ok(());
        }
        f.write_str(
            "; roles pgq_reader, pgq_writer and pgq_admin may not be created, so nothing is granted to them",
        )
    }
}
