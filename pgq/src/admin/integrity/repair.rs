//! Mends what does not fit.

use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::{Finding, inspect};
use crate::error::Error;
use crate::lock;
use crate::schema;

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
/// server, they get new ones: each consumer gets the events that it has not got, and those of which that is unknown
/// come again. None is lost. Each queue that was mended gets a tick. Rows of events are rewritten for that,
/// which takes as long as it takes to read the queue's tables.
///
/// Waits five seconds for each lock, or as long as the session's `lock_timeout` if that is set. Needs the rights of
/// the owner of the tables of PgQ.
///
/// # Errors
///
/// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when there is something else by now
/// than what was confirmed, when a lock is not to be had in time, with who has it, and when the server refuses. Nothing
/// but sequences is changed then.
pub fn repair(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    schema::require(client)?;
    match repair_all(client, confirmed) {
        Err(error) if error.sqlstate() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let holders = lock::repair_holders(client).unwrap_or_default();
            let who = lock::held_by("a lock that the repair needs", &holders);
            Err(Error::failed(format!("{WHAT}: {who}")).caused_by(error))
        }
        result => result,
    }
}

/// Waits no longer than five seconds for a lock from here on, unless the session has a limit. Returns the limit as it
/// was.
const LIMIT_WAITING: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s' else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// Keeps tickers, registrations, rotations and whoever opens or finishes a batch away until the end of the transaction.
/// No row security hides anything.
const LOCK_ALL: &str = "set local row_security = off; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), -1); \
     lock table pgq.queue, pgq.consumer, pgq.subscription in share row exclusive mode; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), rest) \
         from (select distinct queue_id % 256 as rest from pgq.queue order by 1) queues; \
     lock table pgq.tick in share row exclusive mode";

/// Mends it in one transaction.
fn repair_all(client: &mut impl GenericClient, confirmed: &[Finding]) -> Result<Repair, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let limit: String = transaction.query_typed_one(LIMIT_WAITING, no_values).map_err(failed)?.get(0);
    transaction.batch_execute(LOCK_ALL).map_err(failed)?;
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

/// The steps of a repair, each of which changes only what does not fit.
const REPAIR: [&str; 6] = [
    include_str!("../../../sql/integrity/mend_sequences.sql"),
    include_str!("../../../sql/integrity/mend_shared_ids.sql"),
    include_str!("../../../sql/integrity/mend_missing_ticks.sql"),
    include_str!("../../../sql/integrity/mend_transaction_ids.sql"),
    include_str!("../../../sql/integrity/mend_times.sql"),
    include_str!("../../../sql/integrity/mend_queue_sequences.sql"),
];

/// $1 names of queues. Makes a tick for each that takes ticks from here, and lets the ticker make another one soon.
const TICK_REPAIRED: &str = "select pgq.force_tick(queue_name), pgq.ticker(queue_name), pgq.force_tick(queue_name) \
     from pgq.queue \
     where queue_name = any ($1) and not queue_external_ticker and not queue_ticker_paused";

fn mend(transaction: &mut Transaction<'_>, found: Vec<Finding>) -> Result<Repair, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    if !found.iter().any(Finding::is_mendable) {
        return Ok(Repair { mended: Vec::new(), left: found });
    }
    for step in REPAIR {
        transaction.batch_execute(step).map_err(failed)?;
    }
    let mut queues: Vec<&str> =
        found.iter().filter(|one| one.is_mendable()).filter_map(|one| one.queue.as_deref()).collect();
    queues.sort_unstable();
    queues.dedup();
    transaction.query_typed(TICK_REPAIRED, &[(&queues, Type::TEXT_ARRAY)]).map_err(failed)?;
    let left = inspect(transaction)?;
    let is_left = |one: &Finding| left.iter().any(|other| other.key() == one.key());
    let mended = found.into_iter().filter(|one| !is_left(one)).collect();
    Ok(Repair { mended, left })
}
