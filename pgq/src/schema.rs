//! The schema `pgq` in the database.

mod extras;

pub use extras::{install_extras, uninstall_extras};

use postgres::GenericClient;
use postgres::types::Type;

use crate::{Error, sql};

/// Tells whether PgQ is installed.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    state(client).map(|state| state.installed)
}

/// Installs PgQ by `CREATE EXTENSION`, which takes a superuser; returns `false` when it was there already.
///
/// # Errors
///
/// When the server does not offer the extension, or refuses it.
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    let state = state(client)?;
    if state.installed {
        return Ok(false);
    }
    if !state.available {
        return Err(Error::missing(
            "the server does not offer the extension `pgq`; its package is named like postgresql-15-pgq3",
        ));
    }
    let failed = |error| Error::failed("cannot create the extension `pgq`").caused_by(error);
    client.batch_execute(sql::CREATE_EXTENSION).map_err(failed)?;
    Ok(true)
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

struct State {
    installed: bool,
    available: bool,
}

fn state(client: &mut impl GenericClient) -> Result<State, Error> {
    let no_values: &[(&(dyn postgres::types::ToSql + Sync), Type)] = &[];
    let row = client
        .query_typed_one(sql::SCHEMA_EXISTS, no_values)
        .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
    Ok(State { installed: row.get(0), available: row.get(1) })
}
