//! The databases of a cluster and their connection strings.

use std::collections::BTreeSet;
use std::fmt::Write;

use dbscript::{BoxError, Context};

use super::plan::TickerScope;
use crate::error::{Error, ErrorKind};
use crate::names::{Name, bytes};
use crate::schema::{self, Trust};

/// The name of the connections that list and probe databases.
const PROBE: &str = ONLY;

/// The name of the only database of a plan with one connection string.
const ONLY: &str = "db";

/// Returns the databases of a scope and their connection strings.
pub(super) fn databases(cx: &mut Context, scope: &TickerScope) -> Result<Vec<(String, String)>, BoxError> {
    let (base, names) = match scope {
        TickerScope::Database(conninfo) => return Ok(vec![(ONLY.to_owned(), conninfo.clone())]),
        TickerScope::Cluster { base, initial, databases } if databases.is_empty() => {
            (base, all(cx, &with_database(base, initial))?)
        }
        TickerScope::Cluster { base, databases, .. } => (base, databases.clone()),
    };
    Ok(unique(names).map(|name| (name.clone(), with_database(base, &name))).collect())
}

/// Omits repeated names.
fn unique(names: Vec<String>) -> impl Iterator<Item = String> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(move |name| seen.insert(name.clone()))
}

/// The databases of the cluster that this role may connect to.
const DATABASES: &str = concat!(
    "select ",
    bytes!("datname::pg_catalog.text"),
    " from pg_catalog.pg_database \
     where datallowconn and not datistemplate and pg_catalog.has_database_privilege(oid, 'connect') order by datname"
);

fn all(cx: &mut Context, conninfo: &str) -> Result<Vec<String>, BoxError> {
    cx.databases().set(PROBE, conninfo);
    let rows = cx.database(PROBE)?.query_typed(DATABASES, &[]);
    cx.databases().close(PROBE);
    Ok(rows?.iter().map(|row| row.get::<_, Name>(0).0).collect())
}

/// Requires that PgQ is installed in a database and belongs to a role that this role may trust.
pub(super) fn require(cx: &mut Context, conninfo: &str) -> Result<(), BoxError> {
    cx.databases().set(PROBE, conninfo);
    let mut db = cx.database(PROBE)?;
    let result = schema::require(&mut *db).and_then(|()| schema::require_trusted(&mut *db, Trust::All));
    let result = result.map_err(|error| cx.locate(PROBE, error).into());
    cx.databases().close(PROBE);
    result
}

/// Returns whether PgQ is installed in a database.
pub(super) fn has_pgq(cx: &mut Context, conninfo: &str) -> Result<bool, BoxError> {
    match require(cx, conninfo) {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&*error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns whether the cause of an error is that PgQ belongs to a role which this role may not trust.
pub(super) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let own = error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Untrusted);
    own || error.source().is_some_and(is_untrusted)
}

fn is_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    let own = error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Missing);
    own || error.source().is_some_and(is_missing)
}

/// Appends a database to a connection string of either form. The last database in a connection string counts.
fn with_database(base: &str, name: &str) -> String {
    let is_uri = ["postgresql://", "postgres://"].iter().any(|scheme| base.starts_with(scheme));
    if !is_uri {
        return format!("{base} dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'"));
    }
    let separator = if base.contains('?') { '&' } else { '?' };
    let mut uri = format!("{base}{separator}dbname=");
    for byte in name.bytes() {
        // Writing to a string cannot fail.
        let _ = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => uri.write_char(char::from(byte)),
            _ => write!(uri, "%{byte:02X}"),
        };
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_listed_twice_is_one_database() {
        let names = ["b", "a", "b"].map(str::to_owned).to_vec();
        assert_eq!(unique(names).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn a_database_is_added_to_either_form() {
        assert_eq!(with_database("", "a"), " dbname='a'");
        assert_eq!(with_database("host=x", r"o'd\d"), r"host=x dbname='o\'d\\d'");
        assert_eq!(with_database("postgres://u@h", "a b"), "postgres://u@h?dbname=a%20b");
        assert_eq!(with_database("postgresql://h/?port=5", "ü"), "postgresql://h/?port=5&dbname=%C3%BC");
    }
}
