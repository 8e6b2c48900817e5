//! The schema `pgq_ext` in the target database.

use dbscript::{Context, printable};
use log::warn;
use pgq::lock::Lock;
use pgq::schema::{
    lock_and_list_dependents, require_trusted_owners, reset_privileges, search_path, trust_check,
};
use postgres::GenericClient;

use crate::error::Error;
use crate::sql;

const NAME: &str = "pgq_ext";

/// Returns true if the schema is installed, by this crate or another PgQ.
///
/// # Errors
///
/// When the server fails.
pub fn is_installed(client: &mut impl GenericClient) -> Result<bool, Error> {
    client
        .query_typed_one(sql::IS_INSTALLED, &[])
        .map(|row| row.get(0))
        .map_err(|error| Error::failed("cannot check for schema `pgq_ext`", error))
}

/// Returns the whole schema as one script, to be run in one transaction. It can be run again, also over an older
/// one.
pub fn sql() -> String {
    let lock = [sql::READ_COMMITTED, sql::WAIT_FOR_INSTALL].map(str::to_owned);
    let statements = lock.into_iter().chain(statements());
    statements
        .map(|part| format!("{};\n", part.trim_end().trim_end_matches(';')))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the statements that install the schema, in order. The owners of objects are checked again after each
/// statement that reuses existing objects.
fn statements() -> impl Iterator<Item = String> {
    let trust = || trust_check(&[NAME]);
    let begin = [trust(), search_path::PATH_FOR_DDL.to_owned(), sql::CREATE_SCHEMA.to_owned(), trust()];
    let end = [reset_privileges(NAME), sql::GRANTS.to_owned(), trust()];
    begin.into_iter().chain(sql::SCHEMA.map(str::to_owned)).chain(end)
}

/// Creates the schema, or brings an older one up to date. Existing records stay. Returns true if the schema existed
/// before.
///
/// The Python consumers `RemoteConsumer` and `SerialConsumer` can use the schema too. The installation requires the right
/// to create a schema. A complete schema of a trusted role is not changed.
///
/// Only the owner and members of the role `pgq_writer` may use the schema. The role is created if it does not exist and
/// the current role may create roles.
///
/// # Errors
///
/// When an object in the schema belongs to a role that could thereby make the current role run its code
/// ([`pgq::schema::trust_check`]), and when the server refuses. Then nothing is changed.
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    let failed = |error| Error::failed("cannot install schema `pgq_ext`", error);
    let mut transaction = client.transaction().map_err(failed)?;
    let search_path = lock(&mut transaction)?;
    transaction.batch_execute(&trust_check(&[NAME])).map_err(failed)?;
    let was_there = is_installed(&mut transaction)?;
    let row = transaction.query_typed_one(sql::IS_ANOTHERS, &[]).map_err(failed)?;
    if row.get(0) {
        return Ok(true);
    }
    transaction.batch_execute("set local client_min_messages = warning").map_err(failed)?;
    for statement in statements() {
        transaction.batch_execute(&statement).map_err(failed)?;
    }
    search_path::restore(&mut transaction, &search_path).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(was_there)
}

/// Removes the schema of this crate or another PgQ, with all records and dependent objects, which are logged. Returns true
/// if the schema existed.
///
/// # Errors
///
/// When schema `pgq_ext` is not PgQ's or belongs to an untrusted role, and when the server refuses. Then nothing is
/// changed.
pub fn uninstall(client: &mut impl GenericClient) -> Result<bool, Error> {
    let removed = remove(client, None)?;
    for dependent in removed.iter().flatten() {
        warn!("schema `pgq_ext`: {} depended on it and was removed too", printable(dependent));
    }
    Ok(removed.is_some())
}

/// Removes the schema as [`uninstall`] does, provided that no objects depend on it besides `confirmed`, which
/// [`pgq::schema::dependents`] has returned. Returns the removed dependents, or `None` when the schema did not exist.
///
/// # Errors
///
/// As [`uninstall`], and when another object depends on the schema.
pub fn uninstall_confirmed(
    client: &mut impl GenericClient,
    confirmed: &[String],
) -> Result<Option<Vec<String>>, Error> {
    remove(client, Some(confirmed))
}

fn remove(client: &mut impl GenericClient, agreed: Option<&[String]>) -> Result<Option<Vec<String>>, Error> {
    let what = "cannot remove schema `pgq_ext`";
    let failed = |error| Error::failed(what, error);
    let mut transaction = client.transaction().map_err(failed)?;
    let search_path = lock(&mut transaction)?;
    let row = transaction.query_typed_one(sql::ORIGIN, &[]).map_err(failed)?;
    let (there, extension): (bool, bool) = (row.get(0), row.get(1));
    if !there {
        return Ok(None);
    }
    transaction.batch_execute(&trust_check(&[NAME])).map_err(failed)?;
    if !is_installed(&mut transaction)? {
        return Err(Error::failed(what, "it is not PgQ's"));
    }
    let dependents = lock_and_list_dependents(&mut transaction, &[NAME], agreed);
    let dependents = dependents.map_err(|error| Error::failed(what, error))?;
    transaction
        .batch_execute(if extension {
            "drop extension pgq_ext cascade"
        } else {
            "drop schema pgq_ext cascade"
        })
        .map_err(failed)?;
    search_path::restore(&mut transaction, &search_path).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(Some(dependents))
}

/// Takes the lock of installations, under the path in which schemas are changed. Returns the search path as it was.
fn lock(client: &mut impl GenericClient) -> Result<String, Error> {
    let failed = |error| Error::failed("cannot begin", error);
    client.batch_execute(sql::READ_COMMITTED).map_err(failed)?;
    let search_path = search_path::set(client).map_err(failed)?;
    let lock = Lock::new("the lock of installations of schema `pgq_ext`", sql::LOCK_INSTALL, &[]);
    lock.take(client).map_err(|error| Error::failed("cannot wait for other installations", error))?;
    Ok(search_path)
}

/// Adds checks to every connection to a target: the owners of schemas `pgq_ext` and `pgq` if the role is a superuser,
/// and that `pg_catalog` is first in the search path.
pub(crate) fn check_connections(cx: &mut Context, dst: &str) {
    cx.databases().check_search_path();
    cx.databases().set_check(dst, "cannot use schema `pgq_ext`", |client| {
        Ok(require_trusted_owners(client, &[NAME, "pgq"])?)
    });
}

/// Fails when the schema is not installed, with the way to install it, and when this role may not use it, with the
/// grant.
pub(crate) fn require(client: &mut impl GenericClient) -> Result<(), Error> {
    if !is_installed(client)? {
        return Err(Error::not_installed());
    }
    let row = client.query_typed_one(sql::MAY_USE, &[]);
    let row = row.map_err(|error| Error::failed("cannot check the privileges on schema `pgq_ext`", error))?;
    if row.get(0) { Ok(()) } else { Err(Error::not_granted(row.get(1))) }
}

/// Returns true if the schema records the times of ticks. The schema of another PgQ or an older release does not.
pub(crate) fn keeps_times(client: &mut impl GenericClient) -> Result<bool, Error> {
    let row = client.query_typed_one(sql::KEEPS_TIMES, &[]);
    row.map(|row| row.get(0)).map_err(|error| Error::failed("cannot check for schema `pgq_ext`", error))
}

/// Fails when the schema is not installed, or is of a release without subconsumers.
pub(crate) fn require_subconsumers(client: &mut impl GenericClient) -> Result<(), Error> {
    let row = client.query_typed_one(sql::SUPPORTS_SUBCONSUMERS, &[]);
    let supported = row.map_err(|error| Error::failed("cannot check for schema `pgq_ext`", error))?;
    if supported.get(0) { Ok(()) } else { Err(Error::outdated()) }
}
