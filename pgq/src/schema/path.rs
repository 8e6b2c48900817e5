//! The search path under which schemas are changed.

use postgres::GenericClient;
use postgres::types::{ToSql, Type};

const SEARCH_PATH: &str = "select pg_catalog.current_setting('search_path')";

/// Sets the path under which schemas are changed, for the rest of the transaction.
const PATH_FOR_DDL: &str = include_str!("../../sql/path.sql");

/// Sets the path for the rest of the transaction, so that nothing that a role has put into another schema is found, but
/// for what event triggers look up. Returns the path as it was, to be [restored](restore): the transaction may be the
/// caller's.
pub(crate) fn set(client: &mut impl GenericClient) -> Result<String, postgres::Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let before = client.query_typed_one(SEARCH_PATH, no_values)?.get(0);
    client.batch_execute(PATH_FOR_DDL)?;
    Ok(before)
}

/// As [`set`] in a session that finds nothing but the catalogue, where event triggers could not do their work; any
/// other session keeps its path.
pub(crate) fn open(client: &mut impl GenericClient) -> Result<String, postgres::Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let before: String = client.query_typed_one(SEARCH_PATH, no_values)?.get(0);
    if before == "pg_catalog" {
        client.batch_execute(PATH_FOR_DDL)?;
    }
    Ok(before)
}

/// $1 path. For the rest of the transaction.
const SET_SEARCH_PATH: &str = "select pg_catalog.set_config('search_path', $1::pg_catalog.text, true)";

/// Sets the path back.
pub(crate) fn restore(client: &mut impl GenericClient, before: &str) -> Result<(), postgres::Error> {
    client.query_typed(SET_SEARCH_PATH, &[(&before, Type::TEXT)]).map(|_| ())
}
