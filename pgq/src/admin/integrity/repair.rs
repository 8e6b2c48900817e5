//! Repairing inconsistencies.

use dbscript::param::{NO_PARAMS, text, text_array};
use postgres::error::SqlState;
use postgres::{GenericClient, Transaction};

use super::{Finding, inspect};
use crate::error::Error;
use crate::lock;
use crate::schema;

const CANNOT_REPAIR: &str = "cannot repair the database";

/// The result of a repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// The inconsistencies that were repaired.
    pub repaired: Vec<Finding>,
    /// The inconsistencies that could not be repaired, and remain unchanged.
    pub remaining: Vec<Finding>,
}

/// Repairs inconsistencies in one transaction. `confirmed` contains the findings of [`inspect`] whose repair an
/// operator has confirmed.
///
/// The transaction locks out ticks, registrations, rotations, and the opening and finishing of batches.
///
/// - Sequences are moved past the ids in use, never back.
/// - Ticks and events with transaction ids of another server get new ids. Each consumer gets the events that it has not
///   processed; events for which that is unclear are redelivered. No event is lost.
/// - Each repaired queue gets a tick.
///
/// The repair rewrites rows of events, which takes as long as reading the queue's tables.
///
/// Waits up to 5 seconds for each lock, or the session's `lock_timeout` if that is set. Needs the rights of the owner
/// of PgQ's tables.
///
/// # Errors
///
/// - PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - There is an inconsistency that was not confirmed.
/// - A lock is not free in time. The error lists its holders.
/// - The server refuses.
///
/// Nothing but sequences is changed then.
pub fn repair(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    schema::require(client)?;
    match repair_all(client, confirmed) {
        Err(error) if error.sqlstate() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let holders = lock::repair_holders(client).unwrap_or_default();
            let held = lock::held_by("a lock that the repair needs", &holders);
            Err(Error::failed(format!("{CANNOT_REPAIR}: {held}")).caused_by(error))
        }
        result => result,
    }
}

/// Limits the wait for each lock to 5 seconds for the rest of the transaction, unless the session has a limit already.
/// Returns the previous limit.
const LIMIT_LOCK_WAITS: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s' else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// Locks out ticks, registrations, rotations, and the opening and finishing of batches until the end of the
/// transaction. Fails, later, where row security would hide rows.
const LOCK_ALL: &str = "set local row_security = off; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), -1); \
     lock table pgq.queue, pgq.consumer, pgq.subscription in share row exclusive mode; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), rest) \
         from (select distinct queue_id % 256 as rest from pgq.queue order by 1) queues; \
     lock table pgq.tick in share row exclusive mode";

/// Locks everything, compares the inconsistencies with the confirmed ones, and repairs them, in one transaction.
fn repair_all(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    let failed = |error| Error::failed(CANNOT_REPAIR).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    let limit: String = transaction.query_typed_one(LIMIT_LOCK_WAITS, NO_PARAMS).map_err(failed)?.get(0);
    transaction.batch_execute(LOCK_ALL).map_err(failed)?;
    let found = inspect(&mut transaction)?;
    if let Some(new) = found.iter().find(|new| !confirmed.iter().any(|one| one.key() == new.key())) {
        return Err(Error::failed(format!("{CANNOT_REPAIR}: there is another inconsistency by now: {new}")));
    }
    let repair = repair_found(&mut transaction, found)?;
    let reset = transaction.query_typed(crate::sql::SET_LOCK_TIMEOUT, &[text(&limit)]);
    reset.map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(repair)
}

/// The steps of a repair. Each step changes inconsistent rows and sequences only.
const STEPS: [&str; 6] = [
    include_str!("../../../sql/integrity/repair_sequences.sql"),
    include_str!("../../../sql/integrity/repair_shared_ids.sql"),
    include_str!("../../../sql/integrity/repair_missing_ticks.sql"),
    include_str!("../../../sql/integrity/repair_transaction_ids.sql"),
    include_str!("../../../sql/integrity/repair_times.sql"),
    include_str!("../../../sql/integrity/repair_queue_sequences.sql"),
];

/// $1 names of queues. Makes a tick for each of them that this database ticks, and has the ticker make another one
/// soon.
const TICK_REPAIRED: &str = "select pgq.force_tick(queue_name), pgq.ticker(queue_name), pgq.force_tick(queue_name) \
     from pgq.queue \
     where queue_name = any ($1) and not queue_external_ticker and not queue_ticker_paused";

fn repair_found(transaction: &mut Transaction<'_>, found: Vec<Finding>) -> Result<Repair, Error> {
    let failed = |error| Error::failed(CANNOT_REPAIR).caused_by(error);
    if !found.iter().any(Finding::is_repairable) {
        return Ok(Repair { repaired: Vec::new(), remaining: found });
    }
    for step in STEPS {
        transaction.batch_execute(step).map_err(failed)?;
    }
    let mut queues: Vec<&str> =
        found.iter().filter(|one| one.is_repairable()).filter_map(|one| one.queue.as_deref()).collect();
    queues.sort_unstable();
    queues.dedup();
    transaction.query_typed(TICK_REPAIRED, &[text_array(&queues)]).map_err(failed)?;
    let remaining = inspect(transaction)?;
    let remains = |one: &Finding| remaining.iter().any(|other| other.key() == one.key());
    let repaired = found.into_iter().filter(|one| !remains(one)).collect();
    Ok(Repair { repaired, remaining })
}
