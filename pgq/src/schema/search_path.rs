//! The search path under which schemas are changed.

use dbscript::param::{NO_PARAMS, text};
use postgres::GenericClient;

const SEARCH_PATH: &str = "select pg_catalog.current_setting('search_path')";

/// Sets the path under which schemas are changed, for the rest of the transaction.
pub const PATH_FOR_DDL: &str = include_str!("../../sql/path.sql");

/// Sets the path under which schemas are changed, for the rest of the transaction. Under this path no object of another
/// schema is found, except by event triggers. Returns the previous path for [`restore`], since the transaction may be
/// the caller's.
///
/// # Errors
///
/// When the server fails.
pub fn set(client: &mut impl GenericClient) -> Result<String, postgres::Error> {
    let before = client.query_typed_one(SEARCH_PATH, NO_PARAMS)?.get(0);
    client.batch_execute(PATH_FOR_DDL)?;
    Ok(before)
}

/// Sets the path as [`set`] does if the session's path is `pg_catalog` alone, under which event triggers may fail. Any
/// other path stays. Returns the previous path for [`restore`].
pub(crate) fn set_if_minimal(client: &mut impl GenericClient) -> Result<String, postgres::Error> {
    let before: String = client.query_typed_one(SEARCH_PATH, NO_PARAMS)?.get(0);
    if before == "pg_catalog" {
        client.batch_execute(PATH_FOR_DDL)?;
    }
    Ok(before)
}

/// $1 path. Applies to the rest of the transaction.
const SET_SEARCH_PATH: &str = "select pg_catalog.set_config('search_path', $1::pg_catalog.text, true)";

/// Restores the previous path.
///
/// # Errors
///
/// When the server fails.
pub fn restore(client: &mut impl GenericClient, before: &str) -> Result<(), postgres::Error> {
    client.query_typed(SET_SEARCH_PATH, &[text(&before)]).map(|_| ())
}
