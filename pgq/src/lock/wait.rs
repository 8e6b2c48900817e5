//! Waiting for a lock: said, and never for longer than the loop is to run.

use std::thread;
use std::time::{Duration, Instant};

use dbscript::Control;
use log::{info, warn};
use postgres::GenericClient;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use super::holder::{LockHolder, told};
use crate::error::Error;
use crate::sql;

/// A lock that is waited for longer is worth a warning.
const UNNOTICED: Duration = Duration::from_secs(3);
/// How often the warning comes.
const REPEAT: Duration = Duration::from_secs(60);
/// How long the server waits before it is looked whether the loop is to stop: long enough for it to see a deadlock.
const PIECE: Duration = Duration::from_millis(1200);
const SHORTEST: Duration = Duration::from_millis(1);

/// An advisory lock that a transaction takes: what it is called, and how the server calculates its key.
#[derive(Clone, Copy)]
pub struct Lock<'a> {
    name: &'a str,
    key: &'a str,
    values: &'a [(&'a (dyn ToSql + Sync), Type)],
    shared: bool,
    right: Option<&'a str>,
    also: Option<&'a str>,
}

/// Makes the statement that takes a lock until the end of the transaction, unless somebody else has it; `also` is
/// evaluated with it.
fn take(key: &str, shared: bool, also: Option<&str>) -> String {
    let shared = if shared { "_shared" } else { "" };
    let also = also.map(|expression| format!(", {expression}")).unwrap_or_default();
    format!("select pg_catalog.pg_try_advisory_xact_lock{shared}({key}){also}")
}

/// Makes the statement that waits for a lock until a time is over, and returns the session's limit as it was.
fn wait(key: &str, shared: bool, time: Duration) -> String {
    let shared = if shared { "_shared" } else { "" };
    format!(
        "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, '{}ms'::pg_catalog.text, true), \
             pg_catalog.pg_advisory_xact_lock{shared}({key})::pg_catalog.text \
         from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting",
        time.as_millis().max(1)
    )
}

impl<'a> Lock<'a> {
    /// Describes a lock. `name` is what messages call it, such as ``the lock of queue `q` ``; `key` is an SQL
    /// expression of type `bigint`, with parameters of these values.
    pub fn new(name: &'a str, key: &'a str, values: &'a [(&'a (dyn ToSql + Sync), Type)]) -> Lock<'a> {
        Lock { name, key, values, shared: false, right: None, also: None }
    }

    /// Takes the lock together with others that share it.
    pub fn shared(mut self) -> Lock<'a> {
        self.shared = true;
        self
    }

    /// Has the server evaluate an SQL expression together with the first attempt, such as a setting of the transaction.
    pub fn also(mut self, expression: &'a str) -> Lock<'a> {
        self.also = Some(expression);
        self
    }

    /// Names the function that whoever has the lock should be allowed to execute.
    pub(crate) fn entitling(mut self, function: &'a str) -> Lock<'a> {
        self.right = Some(function);
        self
    }

    /// Returns who else has the lock.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn holders(&self, client: &mut impl GenericClient) -> Result<Vec<LockHolder>, Error> {
        let query = sql::lock::holders(&sql::lock::of_key(self.key), self.right);
        let rows = client.query_typed(&query, self.values);
        let failed = |error| Error::failed(format!("cannot see who holds {}", self.name)).caused_by(error);
        Ok(rows.map_err(failed)?.iter().map(LockHolder::read).collect())
    }

    /// Takes the lock until the end of the transaction. While somebody else has it, that is logged as a warning after
    /// three seconds and then once a minute, with who that is.
    ///
    /// # Errors
    ///
    /// When the session's `lock_timeout` or `statement_timeout` is over, with who has the lock; when the loop that
    /// runs on this thread is asked to stop; when the server fails.
    pub fn take(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        let statement = take(self.key, self.shared, self.also);
        let taken = client.query_typed_one(&statement, self.values).map_err(|error| self.failed(error))?;
        if !taken.get::<_, bool>(0) {
            let mut waiting = Waiting::default();
            while !waiting.go_on(client, self)? {}
            waiting.end(self);
        }
        Ok(())
    }

    fn failed(&self, error: postgres::Error) -> Error {
        Error::failed(format!("cannot take {}", self.name)).caused_by(error)
    }

    /// Waits for the lock for a while; returns why it was not taken, if it was not.
    ///
    /// The server does the waiting: it serves those that wait in turn, and finds out when they wait for each other.
    /// A savepoint keeps the transaction alive, if there is one; else the lock is given back at once.
    fn wait(
        &self,
        client: &mut impl GenericClient,
        time: Duration,
    ) -> Result<Option<postgres::Error>, postgres::Error> {
        let is_within = match client.batch_execute("savepoint pgq_lock") {
            Err(error) if error.code() == Some(&SqlState::NO_ACTIVE_SQL_TRANSACTION) => false,
            done => done.map(|()| true)?,
        };
        match client.query_typed_one(&wait(self.key, self.shared, time), self.values) {
            Ok(row) if is_within => {
                let before: String = row.get(0);
                client.query_typed(sql::SET_LOCK_TIMEOUT, &[(&before, Type::TEXT)])?;
                client.batch_execute("release savepoint pgq_lock").map(|()| None)
            }
            Ok(_) => Ok(None),
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                if is_within {
                    client.batch_execute("rollback to savepoint pgq_lock; release savepoint pgq_lock")?;
                }
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the error of one who does not wait any longer.
    fn given_up(&self, client: &mut impl GenericClient, why: postgres::Error) -> Error {
        match self.holders(client) {
            Ok(holders) => Error::failed(told(self.name, &holders)).caused_by(why),
            Err(error) => error,
        }
    }
}

/// How long a lock has been waited for, and what was said about it.
pub(crate) struct Waiting {
    since: Instant,
    told: Option<Instant>,
    /// How long the session is to wait, once that is known.
    limit: Option<Duration>,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting { since: Instant::now(), told: None, limit: None }
    }
}

impl Waiting {
    /// Waits for a while, and says for whom when it is time; returns whether the lock was taken.
    pub(crate) fn go_on(&mut self, client: &mut impl GenericClient, lock: &Lock<'_>) -> Result<bool, Error> {
        if is_stopping() {
            return Err(interrupted(lock.name));
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None => *self.limit.insert(patience(client)?),
        };
        let left = limit.saturating_sub(self.since.elapsed());
        let waited = lock.wait(client, left.clamp(SHORTEST, PIECE)).map_err(|error| lock.failed(error))?;
        let Some(error) = waited else { return Ok(true) };
        let waited = self.since.elapsed();
        if waited >= limit {
            return Err(lock.given_up(client, error));
        }
        if waited >= UNNOTICED && self.told.is_none_or(|told| told.elapsed() >= REPEAT) {
            warn!("waiting: {}", told(lock.name, &lock.holders(client)?));
            self.told = Some(Instant::now());
        }
        Ok(false)
    }

    /// Says that the lock is free, if it was said that it is not.
    pub(crate) fn end(&self, lock: &Lock<'_>) {
        if self.told.is_some() {
            info!("{} is free, going on after {}s", lock.name, self.since.elapsed().as_secs());
        }
    }
}

/// Sleeps, as long as the loop that runs on this thread is not asked for anything.
pub(super) fn pause(time: Duration) {
    match Control::current() {
        Some(control) => control.sleep(time),
        None => thread::sleep(time),
    }
}

/// Returns whether the loop that runs on this thread, if one does, is asked to stop.
pub(super) fn is_stopping() -> bool {
    Control::current().is_some_and(|control| control.is_stopping())
}

fn interrupted(lock: &str) -> Error {
    Error::failed(format!("not waiting for {lock} any more")).caused_by(dbscript::Error::interrupted())
}

/// How long this session waits for a lock or lets a statement run, in seconds, whichever is shorter; null: no limit.
const PATIENCE: &str = "select least( \
         nullif(extract(epoch from pg_catalog.current_setting('lock_timeout'::pg_catalog.text)::pg_catalog.interval), 0), \
         nullif(extract(epoch from pg_catalog.current_setting('statement_timeout'::pg_catalog.text)::pg_catalog.interval), 0) \
     )::pg_catalog.float8";

/// Returns how long the session is to wait for locks.
fn patience(client: &mut impl GenericClient) -> Result<Duration, Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let row = client.query_typed_one(PATIENCE, no_values);
    let failed = |error| Error::failed("cannot find out how long to wait for a lock").caused_by(error);
    let seconds: Option<f64> = row.map_err(failed)?.get(0);
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX))
}
