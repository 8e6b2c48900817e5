//! The schema `pgq` in the database: the extension's, or the one that this crate carries.
//!
//! Both have the same tables and functions, so that every program for PgQ works on either. The extension needs
//! a superuser and a server that has it; this crate's is SQL and PL/pgSQL, and needs the right to create a schema.

mod extras;
mod install;
mod own;
pub(crate) mod path;
mod report;
mod script;
mod state;
mod uninstall;

use postgres::GenericClient;

use self::extras::{COOP, FAILED};
pub use self::install::{install, install_as};
use self::own::PGQ;
pub use self::report::{Change, Kind, Report};
use self::state::State;
pub use self::uninstall::{Contents, contents, uninstall};
use crate::{Error, sql};

/// Returns the own schema, with failed events and cooperative consumers, as one script to be run in one
/// transaction.
///
/// It can be run again, also over an older release of itself, whose queues and events stay. It refuses to touch
/// the extension and what is not PgQ.
pub fn sql() -> String {
    format!("{}\n{}", sql::PATH_FOR_DDL, [&PGQ, &FAILED, &COOP].map(|script| script.sql()).join("\n"))
}

/// Tells whether PgQ is installed.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    State::read(client).map(|state| state.usable)
}

/// Fails when PgQ is not installed, with the way to install it.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    require_kind(client).map(|_| ())
}

/// Tells which PgQ is installed, or `None` when it is of another origin; fails as [`require`].
pub(crate) fn require_kind(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let state = State::read(client)?;
    match (state.usable, state.extension) {
        (true, true) => Ok(Some(Kind::Extension)),
        (true, false) => Ok(state.own().map(|_| Kind::Own)),
        (false, _) => Err(Error::missing(
            "schema `pgq` is not installed in this database; `pgqadm CONFIG.ini install` or `pgq::schema::install` installs it",
        )),
    }
}
