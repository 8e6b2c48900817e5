//! The locks of tickers, and the sessions that hold them.

use dbscript::has_own_session;
use dbscript::param::NO_PARAMS;
use postgres::{GenericClient, Row};

use super::holder::LockHolder;
use super::wait::Lock;
use crate::error::Error;
use crate::sql;

/// A role that may execute this function may hold the ticker's lock.
const MAY_TICK: &str = "pgq.ticker(text)";

/// The key of the lock of the leader among the tickers.
const LEADER: &str = "pg_catalog.hashtextextended('pgq ticker'::pg_catalog.text, 0::pg_catalog.int8)";

/// The key of the lock that standbys share. It excludes nothing: its holders are listed as standbys.
const STANDBY: &str =
    "pg_catalog.hashtextextended('pgq standby ticker'::pg_catalog.text, 0::pg_catalog.int8)";

/// The condition for rows of `pg_locks` of ticks: the lock that serialises tickers, and in the own schema also the lock
/// of each queue.
pub(super) const TICKS: &str = "classid = (pg_catalog.hashtext('pgq ticker'::pg_catalog.text)::pg_catalog.int8 \
     & 4294967295)::pg_catalog.oid and objsubid = 2";

/// A session that holds locks of tickers, and which ones.
pub(crate) struct TickerLocks {
    pub(crate) holder: LockHolder,
    /// Whether it holds the leader's lock.
    pub(crate) is_leader: bool,
    /// Whether it shares the standbys' lock.
    pub(crate) is_standby: bool,
    /// Whether it holds a lock that ticks need, or the leader's.
    pub(crate) delays_ticks: bool,
}

/// The bits of the column `what` of [`holders`].
const IS_LEADER: i32 = 1;
const IS_STANDBY: i32 = 2;
const DELAYS_TICKS: i32 = 4;

impl TickerLocks {
    fn read(row: &Row) -> TickerLocks {
        let locks: i32 = row.get("what");
        TickerLocks {
            holder: LockHolder::read(row),
            is_leader: locks & IS_LEADER != 0,
            is_standby: locks & IS_STANDBY != 0,
            delays_ticks: locks & (IS_LEADER | DELAYS_TICKS) != 0,
        }
    }
}

/// Makes the query for the other sessions that hold locks of tickers, each once.
fn holders() -> String {
    let (leader, standby) = (sql::lock::of_key(LEADER), sql::lock::of_key(STANDBY));
    let held = format!(
        "held as (select pid, pg_catalog.min(virtualtransaction) as virtualtransaction, \
             pg_catalog.bit_or(case when {leader} then {IS_LEADER} when {standby} then {IS_STANDBY} \
                 else {DELAYS_TICKS} end) as ticker_locks \
         from locks where locktype = 'advisory' and ({leader} or {standby} or {TICKS}) \
             and database = (select oid from pg_catalog.pg_database \
                 where datname = pg_catalog.current_database()) \
             and pid is distinct from pg_catalog.pg_backend_pid() \
         group by pid, case when pid is null then virtualtransaction end)"
    );
    sql::lock::named(&held, "held.ticker_locks", Some(MAY_TICK))
}

/// Returns the other sessions that hold a lock of tickers.
pub(crate) fn holders_of_ticker_locks(
    client: &mut impl GenericClient,
) -> Result<Vec<TickerLocks>, postgres::Error> {
    let rows = client.query_typed(&holders(), NO_PARAMS)?;
    Ok(rows.iter().map(TickerLocks::read).collect())
}

/// Returns the other sessions that hold the leader's lock.
pub(crate) fn ticker_holders(client: &mut impl GenericClient) -> Result<Vec<LockHolder>, Error> {
    let lock = Lock::new("the ticker's lock", LEADER, &[]);
    lock.entitling(MAY_TICK).holders(client)
}

/// Returns the sessions that hold the leader's lock, or a lock that ticks need, and whose roles may not tick.
pub(crate) fn unentitled_holders_of_tick_locks(
    client: &mut impl GenericClient,
) -> Result<Vec<LockHolder>, postgres::Error> {
    Ok(unentitled(&holders_of_ticker_locks(client)?))
}

/// Returns the sessions that delay ticks although their roles may not tick.
pub(crate) fn unentitled(sessions: &[TickerLocks]) -> Vec<LockHolder> {
    let strangers = sessions.iter().filter(|session| session.delays_ticks && !session.holder.is_entitled);
    strangers.map(|session| session.holder.clone()).collect()
}

/// Makes the statement that takes the standbys' lock until the end of the session, unless the session has it. A pooler's
/// session would keep the lock for other clients, so it takes none.
fn announcement() -> String {
    format!(
        "select case when {} and not exists (select from pg_catalog.pg_locks \
             where pid = pg_catalog.pg_backend_pid() and locktype = 'advisory' and granted and {}) \
         then pg_catalog.pg_try_advisory_lock_shared({STANDBY}) end",
        has_own_session!(),
        sql::lock::of_key(STANDBY),
    )
}

/// Lists this session as a standby from now on. Has no effect behind a pooler.
pub(crate) fn announce_standby(client: &mut impl GenericClient) -> Result<(), Error> {
    let announced = client.query_typed(&announcement(), NO_PARAMS);
    announced.map(|_| ()).map_err(|error| Error::failed("cannot announce the standby").caused_by(error))
}
