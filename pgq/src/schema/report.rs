//! The result of an installation.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The kind of a schema `pgq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The own schema, which this crate contains.
    Own,
    /// The schema of the extension `pgq`.
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

    /// Parses `own` or `extension`.
    ///
    /// # Errors
    ///
    /// On any other text.
    fn from_str(name: &str) -> Result<Kind, Error> {
        match name {
            "own" => Ok(Kind::Own),
            "extension" => Ok(Kind::Extension),
            _ => Err(Error::usage(format!("unknown schema `{name}`: it must be `own` or `extension`"))),
        }
    }
}

/// The change that an installation made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaChange {
    /// The schema was created.
    Installed,
    /// The schema was outdated or incomplete, and was updated. Its queues and events stay.
    Updated,
    /// The schema was up to date.
    Unchanged,
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SchemaChange::Installed => "installed",
            SchemaChange::Updated => "brought up to date",
            SchemaChange::Unchanged => "already installed",
        })
    }
}

/// The result of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The schema that is installed now.
    pub kind: Kind,
    /// The change of that schema.
    pub change: SchemaChange,
    /// The change of failed events, delayed events and cooperative consumers; `None` when they are missing and this role may not
    /// install them, since schema `pgq` belongs to another role.
    pub extras: Option<SchemaChange>,
    /// Whether the roles `pgq_reader`, `pgq_writer` and `pgq_admin` exist and have their grants. Without them only the
    /// schema's owner may insert events, consume and administer, until the owner grants these rights.
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
            Some(extras) => write!(f, "; failed events, delayed events and cooperative consumers {extras}")?,
            None => f.write_str(
                "; failed events, delayed events and cooperative consumers not installed, which takes the owner of schema pgq",
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
