//! Mends what does not fit.

use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::{Finding, inspect};
use crate::error::Error;
use crate::sql::integrity as sql;
use crate::{lock, schema};

const WHAT: &str = "cannot repair the database";

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// What was mended.
    pub mended: Vec<Finding>,
    /// What could not be mended, and is as it was.
    pub left: Vec<Finding>,
}

/// Mends what does not fit, in one transaction during which nobody ticks, registers, rotates, opens or finishes a
/// batch. `confirmed` are the findings of [`inspect`] that somebody has agreed to.
///
/// Sequences are moved past what is in use, never back. Where ticks and events have the transaction ids of another
/// server, they get new ones: each consumer gets the events that it has not got, and those of which that cannot be told
/// come again. None is lost. Each queue that was mended gets a tick. Rows of events are rewritten for that,
/// which takes as long as it takes to read the queue's tables.
///
/// Waits five seconds for each lock, or as long as the session's `lock_timeout` if that is set. Needs the rights of
/// the owner of the tables of PgQ.
///
/// # Errors
///
/// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when there is something else by now than
/// what was confirmed, when a lock is not to be had in time, with who has it, and when the server refuses. Nothing but
/// sequences is changed then.
pub fn repair(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    schema::require(client)?;
    match repair_all(client, confirmed) {
        Err(error) if error.sqlstate() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let holders = lock::repair_holders(client).unwrap_or_default();
            let who = lock::told("a lock that the repair needs", &holders);
            Err(Error::failed(format!("{WHAT}: {who}")).caused_by(error))
        }
        result => result,
    }
}

/// Mends it in one transaction.
fn repair_all(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let limit: String = transaction.query_typed_one(sql::LIMIT_WAITING, no_values).map_err(failed)?.get(0);
    transaction.batch_execute(sql::LOCK_ALL).map_err(failed)?;
    let found = inspect(&mut transaction)?;
    if let Some(new) = found.iter().find(|new| !confirmed.iter().any(|known| known.key() == new.key())) {
        return Err(Error::failed(format!("{WHAT}: something else has come up since: {new}")));
    }
    let repair = mend(&mut transaction, found)?;
    let reset = transaction.query_typed(crate::sql::SET_LOCK_TIMEOUT, &[(&limit, Type::TEXT)]);
    reset.map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(repair)
}

fn mend(transaction: &mut Transaction<'_>, found: Vec<Finding>) -> Result<Repair, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    if !found.iter().any(Finding::is_mendable) {
        return Ok(Repair { mended: Vec::new(), left: found });
    }
    for step in sql::REPAIR {
        transaction.batch_execute(step).map_err(failed)?;
    }
    let mut queues: Vec<&str> =
        found.iter().filter(|one| one.is_mendable()).filter_map(|one| one.queue.as_deref()).collect();
    queues.sort_unstable();
    queues.dedup();
    transaction.query_typed(sql::TICK_REPAIRED, &[(&queues, Type::TEXT_ARRAY)]).map_err(failed)?;
    let left = inspect(transaction)?;
    let is_left = |one: &Finding| left.iter().any(|other| other.key() == one.key());
    let mended = found.into_iter().filter(|one| !is_left(one)).collect();
    Ok(Repair { mended, left })
}
