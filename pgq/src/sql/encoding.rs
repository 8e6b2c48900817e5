//! Statements about encodings.

/// The encoding of the database.
pub(crate) const SERVER_ENCODING: &str = "select pg_catalog.current_setting('server_encoding')";

/// $1 an encoding, in which the server sends and takes text for the rest of the transaction.
pub(crate) const SET_ENCODING: &str = "select pg_catalog.set_config('client_encoding', $1, true)";
