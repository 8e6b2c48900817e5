//! Retry events: put back into their queues when their time has come.

use std::collections::BTreeSet;

use postgres::{Client, SimpleQueryMessage};

use crate::error::{At, Error};
use crate::names::hex_to_text;
use crate::schema::{self, Trust};
use crate::sql::retries::RetryStore;

/// Puts events whose retry time has come back into their queues; returns how many. PgQ: `pgq.maint_retry_events`, which
/// does the same for all queues in one transaction.
///
/// Each transaction puts back up to ten events of one queue. A queue that accepts no events, or is locked for more than
/// two seconds, does not delay the events of the others.
///
/// # Errors
///
/// When PgQ is not installed, when it belongs to a role that could use this role's rights that way
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails. The failure of a queue is
/// returned after the other queues were tried.
pub fn retry_events(client: &mut Client) -> Result<u64, Error> {
    let mut total = 0;
    retry_counted(client, |_, returned| total += returned).map(|()| total)
}

/// As [`retry_events`]; `count` gets the queue and the number of events of each transaction.
pub(crate) fn retry_counted(client: &mut Client, count: impl FnMut(i32, u64)) -> Result<(), Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)?;
    retry_all(client, &mut BTreeSet::new(), || true, count)
}

/// Limits the time for which a statement waits for a lock. An autovacuum of `pgq.retry_queue` gives way within a
/// second. Row security that would hide events is an error.
const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '2s'; \
     set local row_security = off";

/// As [`retry_events`], as long as `goes_on` returns true; `count` gets the queue and the number of events of each
/// transaction. Skips the queues of `failing`, and adds those that fail.
pub(super) fn retry_all(
    client: &mut Client,
    failing: &mut BTreeSet<i32>,
    goes_on: impl Fn() -> bool,
    mut count: impl FnMut(i32, u64),
) -> Result<(), Error> {
    let mut first_failure = None;
    let failed = |error| Error::failed("cannot read which queues have due retry events").caused_by(error);
    let store = RetryStore::read(client).map_err(failed)?;
    for (id, name) in queues(client, store).map_err(failed)? {
        if failing.contains(&id) {
            continue;
        }
        let result = retry_queue(client, store, id, &goes_on, |returned| count(id, returned));
        if let Err(error) = result {
            failing.insert(id);
            let failed = At::queue(&name).failed("cannot put retry events back", error);
            first_failure.get_or_insert(failed);
        }
    }
    first_failure.map_or(Ok(()), Err)
}

fn retry_queue(
    client: &mut Client,
    store: RetryStore,
    id: i32,
    goes_on: &impl Fn() -> bool,
    mut count: impl FnMut(u64),
) -> Result<(), postgres::Error> {
    while goes_on() {
        match retry_some(client, store, id)? {
            0 => break,
            returned => count(returned),
        }
    }
    Ok(())
}

/// Returns the queues that have due retry events.
fn queues(client: &mut Client, store: RetryStore) -> Result<Vec<(i32, String)>, postgres::Error> {
    let answer = client.simple_query(&format!("{PATIENCE}; {}", store.queues()))?;
    let queue = |row: &postgres::SimpleQueryRow| Some((row.get(0)?.parse().ok()?, hex_to_text(row.get(1)?)));
    Ok(rows(&answer).filter_map(queue).collect())
}

fn retry_some(client: &mut Client, store: RetryStore, id: i32) -> Result<u64, postgres::Error> {
    let answer = client.simple_query(&format!("{PATIENCE}; {}", store.deliver(id)))?;
    let returned = rows(&answer).find_map(|row| row.get(0)?.parse().ok());
    Ok(returned.unwrap_or(0))
}

fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &postgres::SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}
