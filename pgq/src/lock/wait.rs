//! Waiting for a lock: logged, and interrupted when the loop stops.

use std::time::{Duration, Instant};

use dbscript::param::{NO_PARAMS, Param, text};
use dbscript::{BoxError, LogThrottle, Session, ready};
use log::{info, warn};
use postgres::GenericClient;
use postgres::error::SqlState;

use super::holder::{LockHolder, held_by};
use crate::error::Error;
use crate::sql;

/// A longer wait is logged as a warning.
const WARN_AFTER: Duration = Duration::from_secs(3);
/// How long the server waits between two checks whether the loop is stopping: long enough to detect a deadlock.
const MAX_WAIT: Duration = Duration::from_millis(1200);
const MIN_WAIT: Duration = Duration::from_millis(1);

/// An advisory lock of a transaction: its name in messages, and the expression of its key.
#[derive(Clone, Copy)]
pub struct Lock<'a> {
    name: &'a str,
    key: &'a str,
    values: &'a [Param<'a>],
    mode: Mode,
    right: Option<&'a str>,
    also: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Mode {
    Exclusive,
    Shared,
}

impl Mode {
    /// Returns the end of the names of the server's functions.
    fn suffix(self) -> &'static str {
        match self {
            Mode::Exclusive => "",
            Mode::Shared => "_shared",
        }
    }
}

/// Makes the statement that takes a lock until the end of the transaction, unless another session holds it. The server
/// evaluates `also` with it.
fn take(key: &str, mode: Mode, also: Option<&str>) -> String {
    let suffix = mode.suffix();
    let also = also.map(|expression| format!(", {expression}")).unwrap_or_default();
    format!("select pg_catalog.pg_try_advisory_xact_lock{suffix}({key}){also}")
}

/// Makes the statement that waits for a lock for some time, and returns the session's `lock_timeout` before that.
fn wait(key: &str, mode: Mode, time: Duration) -> String {
    let suffix = mode.suffix();
    format!(
        "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, '{}ms'::pg_catalog.text, true), \
             pg_catalog.pg_advisory_xact_lock{suffix}({key})::pg_catalog.text \
         from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting",
        time.as_millis().max(1)
    )
}

impl<'a> Lock<'a> {
    /// Describes a lock. `name` is its name in messages, such as ``the lock of queue `q` ``. `key` is an SQL expression
    /// of type `bigint` with the parameters `values`.
    pub fn new(name: &'a str, key: &'a str, values: &'a [Param<'a>]) -> Lock<'a> {
        Lock { name, key, values, mode: Mode::Exclusive, right: None, also: None }
    }

    /// Takes the lock in shared mode.
    pub fn shared(mut self) -> Lock<'a> {
        self.mode = Mode::Shared;
        self
    }

    /// Sets an SQL expression that the server evaluates with the first attempt, such as a setting of the transaction.
    pub fn also(mut self, expression: &'a str) -> Lock<'a> {
        self.also = Some(expression);
        self
    }

    /// Sets the function that a rightful holder of the lock may execute.
    pub(crate) fn entitling(mut self, function: &'a str) -> Lock<'a> {
        self.right = Some(function);
        self
    }

    /// Returns the other sessions that hold the lock.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn holders(&self, client: &mut impl GenericClient) -> Result<Vec<LockHolder>, Error> {
        ready(self.find_holders(client))
    }

    pub(crate) async fn find_holders(&self, session: &mut impl Session) -> Result<Vec<LockHolder>, Error> {
        let query = sql::lock::holders(&sql::lock::of_key(self.key), self.right);
        let rows = session.rows(&query, self.values).await;
        let failed =
            |error| Error::failed(format!("cannot read which sessions hold {}", self.name)).caused_by(error);
        Ok(rows.map_err(failed)?.iter().map(LockHolder::read).collect())
    }

    /// Takes the lock until the end of the transaction. While another session holds it, a warning names the session
    /// after three seconds and then once a minute.
    ///
    /// # Errors
    ///
    /// When the session's `lock_timeout` or `statement_timeout` is over; the error names the holder. When the loop that
    /// runs on this thread is stopping, and when the server fails.
    pub fn take(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        ready(self.acquire(client))
    }

    /// As [`take`](Lock::take), on a session of either face.
    pub(crate) async fn acquire(&self, session: &mut impl Session) -> Result<(), Error> {
        let statement = take(self.key, self.mode, self.also);
        let taken = session.one_row(&statement, self.values).await.map_err(|error| self.failed(error))?;
        if !taken.get::<_, bool>(0) {
            let mut waiting = Waiting::default();
            while !waiting.try_again(session, self).await? {}
            waiting.log_end(self);
        }
        Ok(())
    }

    fn failed(&self, error: impl Into<BoxError>) -> Error {
        Error::failed(format!("cannot take {}", self.name)).caused_by(error)
    }

    /// Waits for the lock for some time; returns the server's error if another session still holds it.
    ///
    /// The server waits: it serves waiting sessions in turn, and detects deadlocks. Within a transaction, a savepoint
    /// keeps the transaction alive. Without a transaction, the lock is released at once.
    async fn wait(
        &self,
        session: &mut impl Session,
        time: Duration,
    ) -> Result<Option<postgres::Error>, postgres::Error> {
        let is_within = match session.run("savepoint pgq_lock").await {
            Err(error) if error.code() == Some(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => false,
            done => done.map(|()| true)?,
        };
        match session.first_row(&wait(self.key, self.mode, time), self.values).await {
            Ok(row) if is_within => {
                let before: Option<String> = row.map(|row| row.get(0));
                session.rows(sql::SET_LOCK_TIMEOUT, &[text(&before)]).await?;
                session.run("release savepoint pgq_lock").await.map(|()| None)
            }
            Ok(_) => Ok(None),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                if is_within {
                    session.run("rollback to savepoint pgq_lock; release savepoint pgq_lock").await?;
                }
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the error of a wait that has reached its limit.
    async fn timed_out(&self, session: &mut impl Session, why: postgres::Error) -> Error {
        match self.find_holders(session).await {
            Ok(holders) => Error::failed(held_by(self.name, &holders)).caused_by(why),
            Err(error) => error,
        }
    }
}

/// A wait for a lock, in several attempts.
pub(crate) struct Waiting {
    since: Instant,
    is_logged: bool,
    throttle: LogThrottle,
    /// The session's limit, once it was read.
    limit: Option<Duration>,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { since: Instant::now(), is_logged: false, throttle: LogThrottle::default(), limit: None }
    }
}

impl Waiting {
    /// Waits for some time, and logs which session holds the lock; returns whether the lock was taken.
    pub(crate) async fn try_again(
        &mut self,
        session: &mut impl Session,
        lock: &Lock<'_>,
    ) -> Result<bool, Error> {
        if session.is_stopping() {
            return Err(interrupted(lock.name));
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None => *self.limit.insert(wait_limit(session).await?),
        };
        let left = limit.saturating_sub(self.since.elapsed());
        let waited = lock.wait(session, left.clamp(MIN_WAIT, MAX_WAIT)).await;
        let waited = waited.map_err(|error| lock.failed(error))?;
        let Some(error) = waited else { return Ok(true) };
        let waited = self.since.elapsed();
        if waited >= limit {
            return Err(lock.timed_out(session, error).await);
        }
        if waited >= WARN_AFTER && self.throttle.admit_key("waiting").is_some() {
            warn!("waiting: {}", held_by(lock.name, &lock.find_holders(session).await?));
            self.is_logged = true;
        }
        Ok(false)
    }

    /// Logs that the lock is free, if the wait was logged.
    pub(crate) fn log_end(&self, lock: &Lock<'_>) {
        if self.is_logged {
            info!("{} is free, continuing after {}s", lock.name, self.since.elapsed().as_secs());
        }
    }
}

fn interrupted(lock: &str) -> Error {
    Error::failed(format!("stopped waiting for {lock}")).caused_by(dbscript::Error::interrupted())
}

/// Returns the shorter of the session's `lock_timeout` and `statement_timeout`, in seconds; null if there is no limit.
const LIMIT: &str = "select least( \
         nullif(extract(epoch from pg_catalog.current_setting('lock_timeout'::pg_catalog.text)::pg_catalog.interval), 0), \
         nullif(extract(epoch from pg_catalog.current_setting('statement_timeout'::pg_catalog.text)::pg_catalog.interval), 0) \
     )::pg_catalog.float8";

/// Returns for how long this session waits for locks.
async fn wait_limit(session: &mut impl Session) -> Result<Duration, Error> {
    let row = session.one_row(LIMIT, NO_PARAMS).await;
    let failed = |error: BoxError| Error::failed("cannot read how long to wait for a lock").caused_by(error);
    let seconds: Option<f64> = row.map_err(failed)?.get(0);
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX))
}
