//! Events that stream in while something else is killed at random.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use postgres::{Client, NoTls, Transaction};

use super::amount::pick;

/// A small generator, so that a failing run can be repeated from its seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Returns the seed of this run, which `CRASH_SEED` repeats.
pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now.as_nanos() as u64 | 1)
}

/// Returns how often to kill, which `CRASH_ROUNDS` sets.
pub(crate) fn rounds() -> u32 {
    env::var("CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or_else(|| pick(10, 25))
}

/// Ends the other threads however the test ends.
pub(crate) struct Ending<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` with a connection again and again until the test ends it; reconnects when the server is unavailable.
fn keep_doing(
    conninfo: &str,
    end: &AtomicBool,
    mut work: impl FnMut(&mut Client) -> Result<(), postgres::Error>,
) {
    while !end.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(conninfo, NoTls) else { continue };
        while !end.load(Ordering::Relaxed) && work(&mut client).is_ok() {}
    }
}

/// Inserts events in transactions of many sizes, some of which are rolled back.
pub(crate) fn produce(
    conninfo: &str,
    end: &AtomicBool,
    seed: u64,
    insert: impl Fn(&mut Transaction<'_>, &mut Random) -> Result<(), postgres::Error>,
) {
    let mut random = Random(seed);
    keep_doing(conninfo, end, |client| {
        let mut transaction = client.transaction()?;
        for _ in 0..=random.below(40) {
            insert(&mut transaction, &mut random)?;
        }
        if random.below(10) == 0 { transaction.rollback() } else { transaction.commit() }
    });
}

/// Runs a statement every five milliseconds.
pub(crate) fn repeat(conninfo: &str, end: &AtomicBool, statement: &str) {
    keep_doing(conninfo, end, |client| {
        client.batch_execute(statement)?;
        thread::park_timeout(Duration::from_millis(5));
        Ok(())
    });
}

/// Ends the sessions of a database with an application name.
pub(crate) fn terminate(client: &mut Client, application: &str) {
    client
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = $1",
            &[&application],
        )
        .expect("the superuser may");
}
