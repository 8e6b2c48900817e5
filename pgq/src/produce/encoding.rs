//! The encoding in which two databases exchange text without conversion.

use dbscript::param::text;
use postgres::{GenericClient, Transaction};

/// The encoding of every connection.
const UTF8: &str = "UTF8";
/// A database without an encoding, which converts nothing.
const NONE: &str = "SQL_ASCII";

/// Returns the encoding of both databases if it is the same and not that of the connections. A conversion to UTF-8
/// would fail for a character of this encoding that Unicode lacks.
///
/// # Errors
///
/// When a server fails.
pub(crate) fn common(
    source: &mut impl GenericClient,
    target: &mut impl GenericClient,
) -> Result<Option<String>, postgres::Error> {
    let encoding = of_server(source)?;
    if encoding == UTF8 || encoding == NONE || encoding != of_server(target)? {
        return Ok(None);
    }
    Ok(Some(encoding))
}

/// The encoding of the database.
const SERVER_ENCODING: &str = "select pg_catalog.current_setting('server_encoding')";

fn of_server(client: &mut impl GenericClient) -> Result<String, postgres::Error> {
    Ok(client.query_typed_one(SERVER_ENCODING, &[])?.get(0))
}

/// Begins a transaction or a savepoint whose client encoding is `encoding`.
///
/// # Errors
///
/// When the server fails.
pub(crate) fn begin<'a>(
    client: &'a mut impl GenericClient,
    encoding: &str,
) -> Result<Transaction<'a>, postgres::Error> {
    let mut transaction = client.transaction()?;
    set(&mut transaction, encoding)?;
    Ok(transaction)
}

/// Restores the client encoding and commits the transaction of [`begin`].
///
/// # Errors
///
/// When the server fails.
pub(crate) fn end(mut transaction: Transaction<'_>) -> Result<(), postgres::Error> {
    set(&mut transaction, UTF8)?;
    transaction.commit()
}

/// Calls `write` while the client encoding of the transaction is `encoding`.
///
/// # Errors
///
/// Those of `write`, and when the server fails. The transaction can only be rolled back then.
pub(crate) fn within<C: GenericClient, T, E: From<postgres::Error>>(
    client: &mut C,
    encoding: Option<&str>,
    write: impl FnOnce(&mut C) -> Result<T, E>,
) -> Result<T, E> {
    if let Some(encoding) = encoding {
        set(client, encoding)?;
    }
    let written = write(client)?;
    if encoding.is_some() {
        set(client, UTF8)?;
    }
    Ok(written)
}

/// $1 the client encoding for the rest of the transaction.
const SET_ENCODING: &str = "select pg_catalog.set_config('client_encoding', $1, true)";

fn set(client: &mut impl GenericClient, encoding: &str) -> Result<(), postgres::Error> {
    client.query_typed(SET_ENCODING, &[text(&encoding)]).map(|_| ())
}
