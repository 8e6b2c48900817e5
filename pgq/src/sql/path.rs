//! The statements about the search path.

pub(crate) const SEARCH_PATH: &str = "select pg_catalog.current_setting('search_path')";

/// $1 path. For the rest of the transaction.
pub(crate) const SET_SEARCH_PATH: &str =
    "select pg_catalog.set_config('search_path', $1::pg_catalog.text, true)";

/// Sets the path under which schemas are changed, for the rest of the transaction.
pub(crate) const PATH_FOR_DDL: &str = include_str!("../../sql/path.sql");
