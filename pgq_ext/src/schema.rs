//! The schema `pgq_ext` in the target database.

use postgres::GenericClient;

use crate::{Error, sql};

/// Tells whether the schema is there, this crate's or another PgQ's.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    client
        .query_typed_one(sql::IS_INSTALLED, &[])
        .map(|row| row.get(0))
        .map_err(|error| Error::failed("cannot look for schema `pgq_ext`", error))
}

/// Returns the whole schema as one script, to be run in one transaction. It can be run again, also over an older
/// one.
pub fn sql() -> String {
    sql::SCHEMA.map(|statement| format!("{};\n", statement.trim_end().trim_end_matches(';'))).join("\n")
}

/// Creates the schema, or brings an older one up to date; what is recorded stays. Returns whether the schema
/// was there before.
///
/// It serves the Python consumers `RemoteConsumer` and `SerialConsumer` too. Needs no superuser, only the
/// right to create a schema. A complete one that belongs to another role is left alone.
///
/// Only the owner and members of the role `pgq_writer` may use it. The role is created if it does not exist and this role
/// may create roles.
///
/// # Errors
///
/// When the server refuses; nothing is changed then.
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    let failed = |error| Error::failed("cannot install schema `pgq_ext`", error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::LOCK_INSTALL).map_err(failed)?;
    let was_there = is_installed(&mut transaction)?;
    let row = transaction.query_typed_one(sql::IS_ANOTHERS, &[]).map_err(failed)?;
    if row.get(0) {
        return Ok(true);
    }
    transaction.batch_execute("set local client_min_messages = warning").map_err(failed)?;
    for statement in sql::SCHEMA {
        transaction.batch_execute(statement).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(was_there)
}

/// Removes the schema with all that it records, this crate's or another PgQ's. Returns whether it was there.
///
/// # Errors
///
/// When there is a schema `pgq_ext` that is not PgQ's, and when the server refuses; nothing is changed then.
pub fn uninstall(client: &mut impl GenericClient) -> Result<bool, Error> {
    let failed = |error| Error::failed("cannot remove schema `pgq_ext`", error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::LOCK_INSTALL).map_err(failed)?;
    let row = transaction.query_typed_one(sql::ORIGIN, &[]).map_err(failed)?;
    let (there, extension): (bool, bool) = (row.get(0), row.get(1));
    if !there {
        return Ok(false);
    }
    if !is_installed(&mut transaction)? {
        return Err(Error::failed("cannot remove schema `pgq_ext`", "it is not PgQ's"));
    }
    transaction
        .batch_execute(if extension {
            "drop extension pgq_ext cascade"
        } else {
            "drop schema pgq_ext cascade"
        })
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(true)
}

/// Fails when the schema is not installed, with the way to install it, and when this role may not use it, with the grant.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    if !is_installed(client)? {
        return Err(Error::not_installed());
    }
    let row = client.query_typed_one(sql::MAY_USE, &[]);
    let row = row.map_err(|error| Error::failed("cannot look for rights on schema `pgq_ext`", error))?;
    if row.get(0) { Ok(()) } else { Err(Error::not_granted(row.get(1))) }
}

/// Tells whether the schema keeps the times of ticks, which another PgQ's and an older one do not.
pub(crate) fn keeps_times(client: &mut impl GenericClient) -> Result<bool, Error> {
    let row = client.query_typed_one(sql::KEEPS_TIMES, &[]);
    row.map(|row| row.get(0)).map_err(|error| Error::failed("cannot look for schema `pgq_ext`", error))
}

/// Fails when the schema is not installed, or by a release without subconsumers.
pub(crate) fn require_subconsumers(client: &mut impl GenericClient) -> Result<(), Error> {
    let row = client.query_typed_one(sql::KNOWS_SUBCONSUMERS, &[]);
    let known = row.map_err(|error| Error::failed("cannot look for schema `pgq_ext`", error))?;
    if known.get(0) { Ok(()) } else { Err(Error::outdated()) }
}
