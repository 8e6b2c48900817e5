//! Sessions whose search path begins with `pg_catalog`. The path is a start option (DESIGN.md, D57).

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postgres::error::SqlState;

use super::{Opened, open};
use crate::database::conninfo::Target;
use crate::database::own_session::marked;
use crate::database::session::Session;
use crate::error::{BoxError, Error, sqlstate};
use crate::has_own_session;
use crate::ready::ready;
use crate::text::printable::printable;

/// The start option.
pub(crate) const PATH: &str = "-c search_path=pg_catalog";

/// Returns the schemas of the search path, true if a setting of the database gives a superuser's session another
/// role, and whether the session is its connection's alone. Code that runs with the rights of that role could reset the
/// role and become superuser again.
const SESSION: &str = concat!(
    "select pg_catalog.current_schemas(true)::pg_catalog.text[], \
     session_user operator(pg_catalog.<>) current_user \
         and (select rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) session_user) \
         and exists (select from pg_catalog.pg_db_role_setting cross join pg_catalog.unnest(setconfig) given \
             where setrole operator(pg_catalog.=) 0::pg_catalog.oid \
             and setdatabase operator(pg_catalog.=) (select oid from pg_catalog.pg_database \
                 where datname operator(pg_catalog.=) pg_catalog.current_database()) \
             and pg_catalog.starts_with(given, 'role=')), ",
    has_own_session!()
);

/// The search path of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SearchPath {
    /// The session's own search path.
    #[default]
    Session,
    /// The session's own search path; opening fails if a schema precedes `pg_catalog`.
    Checked,
    /// Only `pg_catalog`. If a pooler refuses the start option, as `Checked`.
    Pinned,
}

/// Opens a connection with this search path.
///
/// # Errors
///
/// Fails as [`open`] does, and if a schema precedes `pg_catalog` in a checked or pinned search path.
pub(crate) fn open_with(target: &Target, path: SearchPath) -> Result<Opened, Error> {
    let mut opened = match path {
        SearchPath::Session => return open(target),
        SearchPath::Checked => open_marked(target, ""),
        SearchPath::Pinned => open_marked(target, PATH),
    }?;
    opened.has_own_session = ready(check(&mut opened.client))
        .map_err(|error| Error::failed(format!("cannot use {target}")).caused_by(error))?;
    Ok(opened)
}

/// Opens a connection with start options, or without them if a pooler refuses unknown ones. The refusal is remembered, so
/// later connections omit the options.
fn open_marked(target: &Target, options: &str) -> Result<Opened, Error> {
    let name = target.to_string();
    let refused = refusing().contains(&name);
    if !refused {
        match open(&marked(target, options)) {
            Err(error) if sqlstate(&error) == Some(&SqlState::PROTOCOL_VIOLATION) => {}
            result => return result,
        }
    }
    let opened = open(target)?;
    refusing().insert(name);
    Ok(opened)
}

/// The targets that have refused start options.
fn refusing() -> MutexGuard<'static, BTreeSet<String>> {
    static REFUSING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    REFUSING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails if a schema precedes `pg_catalog`, since any operator may then be one of that schema. Fails if a setting of
/// the database gives a superuser's session another role. Returns whether the session is its connection's alone.
pub(crate) async fn check(session: &mut impl Session) -> Result<bool, BoxError> {
    let row = session.one_row(SESSION, &[]).await?;
    let (schemas, has_other_role): (Vec<String>, bool) = (row.get(0), row.get(1));
    let has_own_session = row.get(2);
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
        _ => Ok(has_own_session),
    }
}
