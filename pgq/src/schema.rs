//! The schema `pgq` in the database: the extension's, or the one that this crate carries.
//!
//! Both have the same tables and functions, so that every program for PgQ works on either. The extension needs
//! a superuser and a server that has it; this crate's is SQL and PL/pgSQL, and needs the right to create a schema.

mod change;
mod dependents;
mod extras;
mod install;
mod own;
pub(crate) mod path;
mod report;
pub(crate) mod row_security;
mod script;
mod state;
mod trust;
mod uninstall;

use postgres::GenericClient;

pub(crate) use self::dependents::dependents_of_queue;
#[doc(hidden)]
pub use self::dependents::{dependents, dependents_at_last};
use self::extras::{COOP, FAILED};
pub use self::install::{install, install_as};
use self::own::PGQ;
pub use self::report::{Change, Kind, Report};
use self::state::State;
pub use self::trust::require_superusers;
pub(crate) use self::trust::{Trust, require_callable, require_trusted};
#[doc(hidden)]
pub use self::trust::{check_connections, plain_rights, trust_check};
pub use self::uninstall::uninstall;
#[doc(hidden)]
pub use self::uninstall::{Contents, contents, uninstall_of};
use crate::error::Error;

/// Returns the own schema, with failed events and cooperative consumers, as one script to be run in one
/// transaction.
///
/// It can be run again, also over an older release of itself, whose queues and events stay. It refuses to touch
/// the extension and what is not PgQ.
pub fn sql() -> String {
    [&PGQ, &FAILED, &COOP].map(|script| script.sql()).join("\n")
}

/// Returns whether PgQ is installed.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    State::present(client).map(|present| present.usable)
}

/// Fails when PgQ is not installed, with the way to install it.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    require_kind(client).map(|_| ())
}

/// Returns which PgQ is installed, or `None` when it is of another origin; fails as [`require`], for a superuser when
/// something in it belongs to a role that is none ([`require_superusers`]), and when a schema stands before the
/// catalogue.
pub(crate) fn require_kind(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let present = State::present(client)?;
    if let Some(schema) = &present.before_catalogue {
        return Err(Error::failed(format!(
            "schema `{schema}` comes before `pg_catalog` in the search path, so its operators would be run in place of \
             PostgreSQL's; `set search_path` so that `pg_catalog` is first or left out"
        )));
    }
    require_callable(client)?;
    match (present.usable, present.kind) {
        (true, kind) => Ok(kind),
        (false, _) => Err(Error::missing(
            "schema `pgq` is not installed in this database; `pgqadm CONFIG.ini install` or `pgq::schema::install` installs it",
        )),
    }
}
