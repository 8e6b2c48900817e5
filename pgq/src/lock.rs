//! Advisory locks, and the sessions that hold them.
//!
//! Each lock belongs to a transaction, and its key is a hash of a name. Any role that can connect to the database can
//! take any of the locks. Therefore a wait for a lock is logged with the session that holds it, and ends when the loop
//! stops.
//!
//! The lock of a consumer allows one process for each name. A process holds it in the transaction that opens a batch,
//! and again in the transaction that processes the batch. The first is short, so a process retries for a second before
//! it reports that the lock is taken.

mod holder;
mod tickers;
pub(crate) mod transaction;
mod wait;

use std::time::Duration;

use dbscript::param::{NO_PARAMS, int4, text};
use dbscript::{Session, printable};
use postgres::GenericClient;

pub use self::holder::LockHolder;
pub(crate) use self::holder::held_by;
use self::tickers::TICKS;
pub(crate) use self::tickers::{
    TickerLocks, announce_standby, holders_of_ticker_locks, ticker_holders, unentitled,
    unentitled_holders_of_tick_locks,
};
#[doc(hidden)]
pub use self::wait::Lock;
pub(crate) use self::wait::Waiting;
use crate::error::{At, Error};
use crate::names::{Name, bytes};
use crate::sql;
use crate::sql::lock::named;
use crate::sql::wait_for_disk;

const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The attempts to take a lock that another session may hold for a moment: for a second at most.
#[derive(Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Waits before another attempt; returns `false` after the last one, and when the loop of the session is stopping.
    pub(crate) async fn go_on(&mut self, session: &mut impl Session) -> bool {
        self.0 += 1;
        if self.0 >= TRIES || session.is_stopping() {
            return false;
        }
        session.pause(PAUSE).await;
        true
    }
}

/// $1 queue, $2 the consumer's name in its lock.
const HOLD_LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.format('pgq %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0))";

/// Takes a consumer's lock until the end of the transaction.
///
/// # Errors
///
/// When another process holds it ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and when the server fails.
pub(crate) async fn take(session: &mut impl Session, queue: &str, name: &str) -> Result<(), Error> {
    let mut attempts = Attempts::default();
    loop {
        let row = session.one_row(HOLD_LOCK, &[text(&queue), text(&name)]).await;
        let row = row.map_err(|error| At::queue(queue).failed("cannot take the consumer's lock", error))?;
        if row.get(0) {
            return Ok(());
        }
        if !attempts.go_on(session).await {
            return Err(busy(&consumer_holders(session, queue, name).await?, name).on_queue(queue));
        }
    }
}

/// A role that may execute this function may hold the lock of a consumer.
const MAY_CONSUME: &str = "pgq.finish_batch(bigint)";

/// $1 queue, $2 consumer. The key of the lock of the process that runs the consumer.
const CONSUMER: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0::pg_catalog.int8)";

/// Returns the other sessions that hold a consumer's lock; `name` is that of the consumer, with the subconsumer.
pub(crate) async fn consumer_holders(
    session: &mut impl Session,
    queue: &str,
    name: &str,
) -> Result<Vec<LockHolder>, Error> {
    let values = [text(&queue), text(&name)];
    let lock = Lock::new("the consumer's lock", CONSUMER, &values);
    lock.entitling(MAY_CONSUME).find_holders(session).await
}

/// Makes the error of a consumer whose lock other sessions hold.
pub(crate) fn busy(holders: &[LockHolder], consumer: &str) -> Error {
    if !holders.is_empty() && holders.iter().all(|holder| !holder.is_entitled) {
        let lock = held_by(&format!("the lock of consumer `{consumer}`"), holders);
        return Error::busy(format!("{lock}; its role may not consume")).by_unentitled_role();
    }
    let holder = holders.first().map(|holder| format!(": {holder}")).unwrap_or_default();
    Error::busy(format!("another process is consuming as `{consumer}`{holder}; each needs a name of its own"))
}

/// $1 queue. The key of the lock of a session that creates or drops the queue, and in shared mode of a session that
/// registers a consumer on it.
const QUEUE: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq queue %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// Takes the lock of a queue's name, which serialises the sessions that create or drop it.
pub(crate) fn queue(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let name = format!("the lock of queue `{queue}`");
    Lock::new(&name, QUEUE, &[text(&queue)]).take(client)
}

/// $1 consumer. The key of the lock of a session that registers it.
const REGISTRATION: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq consumer %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// The commit of a registration waits for the disk: a record of the consumer outside of the server depends on it.
const WAIT_FOR_DISK: &str = concat!("select ", wait_for_disk!());

/// Takes the lock of a consumer's name, which serialises the sessions that register the consumer or drop the queue.
pub(crate) fn registration(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<(), Error> {
    let name = format!("the lock of queue `{queue}`");
    Lock::new(&name, QUEUE, &[text(&queue)]).shared().take(client)?;
    let name = format!("the lock of registrations of consumer `{consumer}`");
    Lock::new(&name, REGISTRATION, &[text(&consumer)]).take(client)?;
    let durable = client.query_typed(WAIT_FOR_DISK, NO_PARAMS);
    durable
        .map(|_| ())
        .map_err(|error| Error::failed("cannot make the registration durable").caused_by(error))
}

/// $1 process. Returns the sessions that block the process, unless it waits for an advisory lock, with the locked
/// object in the first column. The process must have this session's role and application name: behind a pooler, it may
/// serve another client by now.
fn blockers() -> String {
    let held = "waited as (select l.* from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity own on own.pid = l.pid \
             join pg_catalog.pg_stat_activity me on me.pid = pg_catalog.pg_backend_pid() \
             where l.pid = $1 and not l.granted and l.locktype <> 'advisory' \
             and own.usesysid = me.usesysid and own.application_name = me.application_name), \
         held as (select distinct l.pid, l.virtualtransaction from locks l where exists (select from waited) \
                 and l.pid = any (pg_catalog.pg_blocking_pids($1)) \
             union select l.pid, l.virtualtransaction from locks l join waited w on l.pid is null \
                 and l.locktype = w.locktype and l.relation is not distinct from w.relation \
                 and l.database is not distinct from w.database \
                 and l.transactionid is not distinct from w.transactionid)";
    let what = format!(
        "(select case locktype when 'relation' then {} end from waited left join pg_catalog.pg_class c on c.oid = relation \
             left join pg_catalog.pg_namespace n on n.oid = relnamespace limit 1)",
        bytes!("pg_catalog.concat(n.nspname, '.', c.relname)")
    );
    named(held, &what, None)
}

/// Returns a message about the lock that a session waits for and the sessions that hold it. `pid` is the session's
/// process; it must have the role and the application name of this session.
///
/// Returns `None` while the session waits for nothing or for an advisory lock, which [`Lock::take`] logs.
///
/// # Errors
///
/// When the server fails.
#[doc(hidden)]
pub fn awaited(client: &mut impl GenericClient, pid: i32) -> Result<Option<String>, Error> {
    let failed = |error| Error::failed("cannot read which sessions hold a lock").caused_by(error);
    let rows = client.query_typed(&blockers(), &[int4(&pid)]).map_err(failed)?;
    let Some(first) = rows.first() else { return Ok(None) };
    let what = match first.get::<_, Option<Name>>("what") {
        Some(table) => format!("a lock on `{}`", printable(&table.0)),
        None => "a row that another session has changed".to_owned(),
    };
    Ok(Some(held_by(&what, &rows.iter().map(LockHolder::read).collect::<Vec<_>>())))
}

/// Makes the condition for rows of `pg_locks` that block a repair: locks of ticks, and of the tables of queues,
/// consumers and ticks.
fn of_repairs() -> String {
    format!(
        "(locktype = 'advisory' and {TICKS} or locktype = 'relation' \
             and mode not in ('AccessShareLock', 'RowShareLock') and relation in ( \
                 select oid from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid \
                 and relname in ('queue', 'consumer', 'subscription', 'tick')))"
    )
}

/// Returns the sessions that hold the locks that a repair needs.
pub(crate) fn repair_holders(client: &mut impl GenericClient) -> Result<Vec<LockHolder>, postgres::Error> {
    let rows = client.query_typed(&sql::lock::holders_of(&of_repairs(), None), NO_PARAMS)?;
    Ok(rows.iter().map(LockHolder::read).collect())
}

/// The key of the lock of a session that installs.
const INSTALL: &str = "pg_catalog.hashtextextended('pgq install'::pg_catalog.text, 0::pg_catalog.int8)";

/// Takes the lock of installations, which serialises them.
pub(crate) fn installation(client: &mut impl GenericClient) -> Result<(), Error> {
    Lock::new("the lock of installations of schema `pgq`", INSTALL, &[]).take(client)
}
