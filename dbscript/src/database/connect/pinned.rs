//! Sessions in which no schema stands before the catalogue.
//!
//! The path is a start option and not a setting of the session, which a pooler would hand on to somebody else.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postgres::Client;
use postgres::error::SqlState;

use super::{Opened, open};
use crate::database::conninfo::Target;
use crate::error::{BoxError, Error, sqlstate};
use crate::text::printable::printable;

const PATH: &str = "-c search_path=pg_catalog";

/// The schemas of the search path, and whether the database has given a superuser's session another role. Whatever runs
/// with that role's rights could take the superuser's back.
const SESSION: &str = "select pg_catalog.current_schemas(true)::pg_catalog.text[], \
     session_user operator(pg_catalog.<>) current_user \
         and (select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) session_user) \
         and exists (select from pg_catalog.pg_db_role_setting cross join pg_catalog.unnest(setconfig) given \
             where setrole operator(pg_catalog.=) 0::pg_catalog.oid \
             and setdatabase operator(pg_catalog.=) (select oid from pg_catalog.pg_database \
                 where datname operator(pg_catalog.=) pg_catalog.current_database()) \
             and pg_catalog.starts_with(given, 'role='))";

/// How a connection finds what a statement names without its schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SearchPath {
    /// As the session does by itself.
    #[default]
    Session,
    /// As the session does, which fails when a schema stands before the catalogue.
    Checked,
    /// In the catalogue alone, as far as the server or a pooler lets the path be set; else as `Checked`.
    Pinned,
}

/// Opens a connection with this search path.
///
/// # Errors
///
/// As [`open`], and when a schema stands before the catalogue though it must not.
pub(crate) fn open_with(target: &Target, path: SearchPath) -> Result<Opened, Error> {
    let mut opened = match path {
        SearchPath::Session => return open(target),
        SearchPath::Checked => open(target),
        SearchPath::Pinned => open_pinned(target),
    }?;
    check(&mut opened.client)
        .map_err(|error| Error::failed(format!("cannot use {target}")).caused_by(error))?;
    Ok(opened)
}

/// Poolers pass on what they know, and most of them refuse the rest; one that did is not asked again.
fn open_pinned(target: &Target) -> Result<Opened, Error> {
    let name = target.to_string();
    let refused = refusing().contains(&name);
    if !refused {
        let given = target.common.get_options().unwrap_or_default();
        let mut pinned = target.clone();
        pinned.common.options(format!("{given} {PATH}").trim());
        match open(&pinned) {
            Err(error) if sqlstate(&error) == Some(&SqlState::PROTOCOL_VIOLATION) => {}
            result => return result,
        }
    }
    let opened = open(target)?;
    refusing().insert(name);
    Ok(opened)
}

/// The targets that have refused the start option.
fn refusing() -> MutexGuard<'static, BTreeSet<String>> {
    static REFUSING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    REFUSING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails when a schema stands before the catalogue: any operator may then be one of that schema. Fails when the owner
/// of the database has given a superuser's session another role.
fn check(client: &mut Client) -> Result<(), BoxError> {
    let row = client.query_typed_one(SESSION, &[])?;
    let (schemas, has_other_role): (Vec<String>, bool) = (row.get(0), row.get(1));
    if has_other_role {
        let what = "the database's setting `role` takes a superuser's rights away in a way that the role's code can \
                    undo; connect as that role, or `alter database ... reset role`";
        return Err(Error::failed(what).into());
    }
    let first = schemas.iter().find(|schema| !schema.starts_with("pg_temp_"));
    match first {
        Some(schema) if schema != "pg_catalog" => Err(Error::failed(format!(
            "schema `{}` comes before `pg_catalog` in the search path, so its functions and operators would be run in \
             place of PostgreSQL's; `pg_catalog` must be first or left out in `search_path` of the role, the database \
             or the connection string's `options`",
            printable(schema)
        ))
        .into()),
        _ => Ok(()),
    }
}
