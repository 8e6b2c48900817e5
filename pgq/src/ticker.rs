//! The ticker's work: ticks, retry events, maintenance.

use postgres::types::{ToSql, Type};
use postgres::{Client, GenericClient};

use crate::{Error, sql};

const NO_VALUES: &[(&(dyn ToSql + Sync), Type)] = &[];

/// Ticks every queue that needs it; returns how many did. PgQ: `pgq.ticker()`.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn tick(client: &mut impl GenericClient) -> Result<u64, Error> {
    let failed = |error| Error::failed("cannot tick").caused_by(error);
    let row = client.query_typed_one(sql::TICK, NO_VALUES).map_err(failed)?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Puts events whose retry time has come back into their queues; returns how many. PgQ:
/// `pgq.maint_retry_events`.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn retry_events(client: &mut Client) -> Result<u64, Error> {
    let mut total = 0;
    loop {
        let failed = |error| Error::failed("cannot return retry events").caused_by(error);
        let row = client.query_typed_one(sql::RETRY_DUE, NO_VALUES).map_err(failed)?;
        match row.get::<_, i32>(0) {
            0 => return Ok(total),
            returned => total += u64::from(returned.unsigned_abs()),
        }
    }
}

/// Does the maintenance that is due, each operation in a transaction of its own: rotation of event tables,
/// vacuum of small ones, and what queues ask for. PgQ: `pgq.maint_operations`.
///
/// Every operation is tried; returns how many were done.
///
/// # Errors
///
/// The first failure, after the others were tried.
pub fn maintain(client: &mut Client) -> Result<u64, Error> {
    let failed = |error| Error::failed("cannot find out what maintenance is due").caused_by(error);
    let operations = client.query_typed(sql::MAINTENANCE, NO_VALUES).map_err(failed)?;
    let mut done = 0;
    let mut first_failure = None;
    for operation in operations {
        let name: &str = operation.get(0);
        let argument: Option<&str> = operation.get(1);
        let function: &str = operation.get(2);
        let result = match argument {
            _ if name.eq_ignore_ascii_case("vacuum") => {
                let table: Option<&str> = operation.get(3);
                client.batch_execute(&format!("vacuum {}", table.unwrap_or_default()))
            }
            Some(argument) => {
                client.query_typed(&format!("select {function}($1)"), &[(&argument, Type::TEXT)]).map(|_| ())
            }
            None => client.query_typed(&format!("select {function}()"), NO_VALUES).map(|_| ()),
        };
        match result {
            Ok(()) => done += 1,
            Err(error) => {
                let what = format!("maintenance `{name}` of `{}` failed", argument.unwrap_or_default());
                first_failure.get_or_insert_with(|| Error::failed(what).caused_by(error));
            }
        }
    }
    first_failure.map_or(Ok(done), Err)
}
