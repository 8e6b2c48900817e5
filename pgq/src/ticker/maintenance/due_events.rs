//! Retry events, delayed events and recurring events: inserted into their queues when their time has come.

use std::collections::BTreeSet;

use postgres::{Client, SimpleQueryMessage};

use super::scheduled;
use crate::error::{At, Error};
use crate::names::hex_to_text;
use crate::schema::{self, Trust};
use crate::sql::due_events::{DueKind, DueStore, DueStores};

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
    count_due(client, DueKind::Retry)
}

/// Inserts delayed events whose time has come into their queues; returns how many. `pgq.maint_delayed_events` does the
/// same for all queues in one transaction.
///
/// Each transaction inserts up to a hundred events of one queue. A queue that accepts no events keeps its delayed events
/// and does not delay those of the others.
///
/// Returns 0 where delayed events are not installed.
///
/// # Errors
///
/// As [`retry_events`].
pub fn deliver_delayed_events(client: &mut Client) -> Result<u64, Error> {
    count_due(client, DueKind::Delayed)
}

/// Inserts the events of [schedules](crate::schedule_event()) that are due into their queues, and sets the next time of each;
/// returns the number of events.
///
/// Each transaction inserts one event. A schedule whose queue accepts no events stays due and does not delay the others.
///
/// Returns 0 where schedules are not installed.
///
/// # Errors
///
/// As [`retry_events`], and when a pattern or a time zone is invalid, which was not stored by
/// [`schedule_event`](crate::schedule_event()).
pub fn insert_scheduled_events(client: &mut Client) -> Result<u64, Error> {
    count_due(client, DueKind::Scheduled)
}

fn count_due(client: &mut Client, kind: DueKind) -> Result<u64, Error> {
    let mut total = 0;
    require_trusted(client)?;
    let mut stores = read_stores(client)?;
    stores.stores.retain(|store| store.kind() == kind);
    stores.has_schedules &= kind == DueKind::Scheduled;
    deliver(client, &stores, &mut Failing::default(), || true, |_, _, count| total += count).map(|()| total)
}

/// Inserts due events of all kinds; `count` gets the kind, the queue and the number of events of each transaction.
pub(crate) fn deliver_counted(
    client: &mut Client,
    count: impl FnMut(DueKind, i32, u64),
) -> Result<(), Error> {
    require_trusted(client)?;
    deliver_all(client, &mut Failing::default(), || true, count)
}

fn require_trusted(client: &mut Client) -> Result<(), Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)
}

/// Limits the time for which a statement waits for a lock. An autovacuum of `pgq.retry_queue` gives way within a
/// second. Row security that would hide events is an error.
pub(super) const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '2s'; \
     set local row_security = off";

/// The queues and schedules whose events cannot be inserted. They are retried in the next period.
#[derive(Default)]
pub(super) struct Failing {
    /// The queues whose events of a store cannot be inserted.
    queues: BTreeSet<(DueStore, i32)>,
    /// The ids of the schedules whose event cannot be inserted.
    pub(super) schedules: BTreeSet<i64>,
}

impl Failing {
    /// Forgets them, so that all are tried again.
    pub(super) fn clear(&mut self) {
        *self = Failing::default();
    }
}

/// Inserts due events of all kinds as long as `goes_on` returns true; `count` gets the kind, the queue and the number of
/// events of each transaction. Skips the queues and schedules in `failing`, and adds those that fail.
pub(super) fn deliver_all(
    client: &mut Client,
    failing: &mut Failing,
    goes_on: impl Fn() -> bool,
    count: impl FnMut(DueKind, i32, u64),
) -> Result<(), Error> {
    let stores = read_stores(client)?;
    deliver(client, &stores, failing, goes_on, count)
}

fn read_stores(client: &mut Client) -> Result<DueStores, Error> {
    DueStores::read(client)
        .map_err(|error| Error::failed("cannot read which kinds of due events there are").caused_by(error))
}

fn deliver(
    client: &mut Client,
    stores: &DueStores,
    failing: &mut Failing,
    goes_on: impl Fn() -> bool,
    mut count: impl FnMut(DueKind, i32, u64),
) -> Result<(), Error> {
    let mut result = Ok(());
    for store in &stores.stores {
        let count = |id, some| count(store.kind(), id, some);
        result = result.and(deliver_of(client, *store, failing, &goes_on, count));
    }
    if stores.has_schedules {
        let count = |id| count(DueKind::Scheduled, id, 1);
        result = result.and(scheduled::insert_all(client, &mut failing.schedules, &goes_on, count));
    }
    result
}

fn deliver_of(
    client: &mut Client,
    store: DueStore,
    failing: &mut Failing,
    goes_on: &impl Fn() -> bool,
    mut count: impl FnMut(i32, u64),
) -> Result<(), Error> {
    let mut result = Ok(());
    let failed = |error| Error::failed(format!("cannot read which queues have due {store}")).caused_by(error);
    for (id, name) in queues(client, store).map_err(failed)? {
        if failing.queues.contains(&(store, id)) {
            continue;
        }
        let delivered = deliver_queue(client, store, id, goes_on, |some| count(id, some));
        result = result.and(delivered.map_err(|error| {
            failing.queues.insert((store, id));
            let what = match store.kind() {
                DueKind::Retry => "cannot put retry events back",
                _ => "cannot deliver delayed events",
            };
            At::queue(&name).failed(what, error)
        }));
    }
    result
}

fn deliver_queue(
    client: &mut Client,
    store: DueStore,
    id: i32,
    goes_on: &impl Fn() -> bool,
    mut count: impl FnMut(u64),
) -> Result<(), postgres::Error> {
    while goes_on() {
        match deliver_some(client, store, id)? {
            0 => break,
            some => count(some),
        }
    }
    Ok(())
}

/// Returns the queues that have due events.
fn queues(client: &mut Client, store: DueStore) -> Result<Vec<(i32, String)>, postgres::Error> {
    let answer = client.simple_query(&format!("{PATIENCE}; {}", store.queues()))?;
    let queue = |row: &postgres::SimpleQueryRow| Some((row.get(0)?.parse().ok()?, hex_to_text(row.get(1)?)));
    Ok(rows(&answer).filter_map(queue).collect())
}

fn deliver_some(client: &mut Client, store: DueStore, id: i32) -> Result<u64, postgres::Error> {
    let answer = client.simple_query(&format!("{PATIENCE}; {}", store.deliver(id)))?;
    let delivered = rows(&answer).find_map(|row| row.get(0)?.parse().ok());
    Ok(delivered.unwrap_or(0))
}

pub(super) fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &postgres::SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}
