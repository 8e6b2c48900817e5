//! Installing, inspecting and removing the schema `pgq`: the extension's, or the own schema, which this crate contains.
//!
//! Both have the same tables and functions, so every program for PgQ works with either. The extension needs a superuser
//! and a server that offers it. The own schema is SQL and PL/pgSQL, and needs the right to create a schema.

mod addons;
mod change;
mod dependents;
mod install;
mod own_schema;
mod report;
pub(crate) mod row_security;
#[doc(hidden)]
pub mod search_path;
mod sql_script;
mod state;
mod trust;
mod uninstall;

use dbscript::StateClass;
use postgres::GenericClient;

use self::addons::{COOP, FAILED, LATER};
pub(crate) use self::dependents::dependents_of_queue;
#[doc(hidden)]
pub use self::dependents::{dependents, lock_and_list_dependents};
pub use self::install::{install, install_as};
use self::own_schema::PGQ;
pub use self::report::{Kind, Report, SchemaChange};
use self::state::State;
pub use self::trust::require_trusted_owners;
pub(crate) use self::trust::{Trust, check_databases, require_callable, require_trusted};
#[doc(hidden)]
pub use self::trust::{check_connections, reset_privileges, trust_check};
pub use self::uninstall::uninstall;
#[doc(hidden)]
pub use self::uninstall::{Contents, contents, uninstall_confirmed};
use crate::error::Error;

/// Returns the SQL script that creates the own schema, failed events, delayed events and cooperative consumers.
/// Run it in one transaction.
///
/// The script can be run again, also over an older release, whose queues and events stay. It fails if the extension is
/// installed or if a schema `pgq` is not PgQ's.
pub fn sql() -> String {
    [&PGQ, &FAILED, &LATER, &COOP].map(|script| script.sql()).join("\n")
}

/// Returns whether PgQ is installed.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    State::present(client).map(|present| present.usable)
}

/// Fails when PgQ is not installed. The error names the command that installs it.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    require_kind(client).map(|_| ())
}

/// Returns the installed kind of PgQ, or `None` for one of another origin.
///
/// Fails when PgQ is not installed, when a schema precedes `pg_catalog` in the search path, and for a superuser when an
/// object of PgQ belongs to a role that is not a superuser ([`require_trusted_owners`]).
pub(crate) fn require_kind(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let present = State::present(client)?;
    if let Some(schema) = &present.before_catalogue {
        return Err(Error::failed(format!(
            "schema `{schema}` comes before `pg_catalog` in the search path, so its operators would hide PostgreSQL's; \
             `set search_path` so that `pg_catalog` is first or absent"
        )));
    }
    dbscript::ready(require_callable(client))?;
    match (present.usable, present.kind) {
        (true, kind) => Ok(kind),
        (false, _) => Err(Error::missing(NOT_INSTALLED)),
    }
}

const NOT_INSTALLED: &str = "schema `pgq` is not installed in this database; run `pgqadm CONFIG.ini install` or \
     `pgq::schema::install`";

/// Makes the error of a statement that may have failed because PgQ is not installed. The statement's transaction cannot
/// answer the question any more, so the error itself decides: the server did not find a name of the statement.
pub(crate) fn failed_or_missing(what: &str, error: postgres::Error) -> Error {
    let is_missing = error.as_db_error().is_some_and(|error| {
        StateClass::Undefined.contains(error.code())
            && error.where_().is_none()
            && error.message().contains("pgq")
    });
    match is_missing {
        true => Error::missing(format!("{what}: {NOT_INSTALLED}")),
        false => Error::failed(what),
    }
    .caused_by(error)
}
