//! The schema `pgq` in the database: the extension's, or the one that this crate carries.
//!
//! Both have the same tables and functions, so that every program for PgQ works on either. The extension needs
//! a superuser and a server that has it; this crate's is SQL and PL/pgSQL, and needs the right to create a schema.

mod install;
mod own;
mod report;
mod state;

mod extras;

pub use extras::{install_extras, uninstall_extras};

use postgres::GenericClient;

pub use self::install::{install, install_as};
pub use self::own::sql;
pub use self::report::{Change, Kind, Report};
use crate::Error;

/// Tells whether PgQ is installed.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    state::read(client).map(|state| state.usable)
}

/// Fails when PgQ is not installed, with the way to install it.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    match is_installed(client)? {
        true => Ok(()),
        false => Err(Error::missing(
            "schema `pgq` is not installed in this database; `pgqadm CONFIG.ini install` installs it",
        )),
    }
}
