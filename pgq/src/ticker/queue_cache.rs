//! The ticker's cache of queues, which makes a round without new events cheap.
//!
//! New events cannot make a queue due while no transaction has ended except the ticker's own. An update of the cache is
//! then one short statement. After other transactions it also reads the queues' sequences, and once a second the
//! queues.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dbscript::{Connection, Session, ready};
use postgres::types::Type;
use postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::cached_queue::{self, CachedQueue};
use super::failing_queues::is_locked;
use super::snapshot_mark::SnapshotMark;
use crate::sql::ticker as sql;
use crate::sql::ticker::{PATIENCE, listed};

/// How often queues are read while other transactions end.
const RELOAD: Duration = Duration::from_secs(1);
/// How many sequences a statement reads: it locks each until it ends.
const SEQUENCES: usize = 1_000;
/// How often the sequences are read when one is dropped or locked.
const TRIES: u32 = 3;

/// The queues of a database, their last ticks and the values of their sequences.
#[derive(Default)]
pub(super) struct QueueCache {
    queues: BTreeMap<i32, CachedQueue>,
    mark: Option<SnapshotMark>,
    loaded: Option<Instant>,
    /// Whether other transactions have ended since the queues were read.
    stale: bool,
    /// Whether other transactions had ended at the last update.
    changed: bool,
    now: f64,
}

/// The current snapshot, as text, and the time, in seconds.
const MOMENT: &str = "select pg_catalog.pg_current_snapshot()::pg_catalog.text, extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8";

/// $1 sequences. Returns those that another session has locked against reading.
const LOCKED: &str = "select distinct relation from pg_catalog.pg_locks where granted and relation = any ($1) \
     and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) \
     and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// Makes the statement that returns the values of sequences, an array in SQL, as one text; the value of an unused sequence
/// is empty.
fn sequence_values(sequences: &str) -> String {
    format!(
        "select pg_catalog.string_agg(coalesce(pg_catalog.pg_sequence_last_value(sequence)::pg_catalog.text, ''), ',' order by place) \
         from pg_catalog.unnest({sequences}) with ordinality sequences (sequence, place)"
    )
}

impl QueueCache {
    /// Clears the cache; the next update reads the queues.
    pub(super) fn forget(&mut self) {
        *self = QueueCache::default();
    }

    /// Reads the changes since the last update.
    pub(super) fn update(&mut self, client: &mut Connection) -> Result<(), postgres::Error> {
        let rows = ready(client.repeating().repeat(MOMENT, &[], ""))?;
        // The statement always returns a row.
        let Some(moment) = rows.first() else { return Ok(()) };
        self.now = moment.get(1);
        let mark = SnapshotMark::parse(moment.get(0));
        let changed = mark.is_none() || mark != self.mark;
        self.mark = mark;
        self.changed = changed;
        self.stale |= changed;
        self.queues.values_mut().for_each(|queue| queue.may_have_moved |= changed);
        let reloads = self.stale && self.loaded.is_none_or(|at| at.elapsed() >= RELOAD);
        if reloads {
            self.reload(client)?;
        }
        self.read_sequences(client)
    }

    /// Returns whether other transactions had ended at the last update.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Returns the server's time of the last update, in seconds.
    pub(super) fn now(&self) -> f64 {
        self.now
    }

    /// Returns whether a queue is one that the ticker ticks.
    pub(super) fn contains(&self, id: i32) -> bool {
        self.queues.contains_key(&id)
    }

    /// Returns the queues that may be due.
    pub(super) fn due(&self) -> impl Iterator<Item = &CachedQueue> {
        self.queues.values().filter(|queue| queue.is_due(self.now))
    }

    /// Returns a queue's name.
    pub(super) fn name(&self, id: i32) -> &str {
        self.queues.get(&id).map_or("", |queue| &queue.name)
    }

    /// Ignores a transaction that made ticks.
    pub(super) fn skip(&mut self, transaction: u64) {
        if let Some(mark) = &mut self.mark {
            mark.skip(transaction);
        }
    }

    /// Records the last tick of a queue after an attempt to tick it.
    pub(super) fn last_tick(&mut self, row: &SimpleQueryRow) {
        let Some((id, event_seq, time)) = cached_queue::last_tick(row) else { return };
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.ticked(event_seq, time);
        }
    }

    /// Records that the server made no tick.
    pub(super) fn set_not_due(&mut self, id: i32) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.set_not_due(self.now);
        }
    }

    /// Reads the queues.
    fn reload(&mut self, client: &mut Connection) -> Result<(), postgres::Error> {
        let before = std::mem::take(&mut self.queues);
        self.queues = read(client)?;
        for (id, queue) in &mut self.queues {
            let Some(before) = before.get(id) else { continue };
            if before.thresholds == queue.thresholds {
                queue.carry_over(before);
                queue.not_due_until = before.not_due_until;
            }
        }
        self.loaded = Some(Instant::now());
        self.stale = false;
        Ok(())
    }

    /// Reads the values of the sequences, also when one of them is dropped or locked.
    fn read_sequences(&mut self, client: &mut Connection) -> Result<(), postgres::Error> {
        for _ in 1..TRIES {
            match self.try_read_sequences(client) {
                Err(error) if is_locked(&error) => self.pause_locked(client)?,
                Err(error) if error.as_db_error().is_some() => self.reload(client)?,
                done => return done,
            }
        }
        self.try_read_sequences(client)
    }

    fn try_read_sequences(&mut self, client: &mut Connection) -> Result<(), postgres::Error> {
        let now = self.now;
        let mut readable: Vec<(&mut CachedQueue, u32)> = self
            .queues
            .values_mut()
            .filter(|queue| queue.reads_sequence(now))
            .filter_map(|queue| queue.sequence.map(|sequence| (queue, sequence)))
            .collect();
        for part in readable.chunks_mut(SEQUENCES) {
            let sequences: Vec<u32> = part.iter().map(|(_, sequence)| *sequence).collect();
            let answer = read_values(client, &sequences)?;
            let text = answer.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            for ((queue, _), value) in part.iter_mut().zip(text.unwrap_or_default().split(',')) {
                // An unused sequence counts as its first value.
                queue.set_sequence_value(value.parse().unwrap_or(1), now);
            }
        }
        Ok(())
    }

    /// Pauses the reads of the sequences that other sessions have locked.
    fn pause_locked(&mut self, client: &mut Connection) -> Result<(), postgres::Error> {
        let sequences: Vec<u32> = self.queues.values().filter_map(|queue| queue.sequence).collect();
        let rows = (**client).query_typed(LOCKED, &[(&sequences, Type::OID_ARRAY)])?;
        let locked: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect();
        let now = self.now;
        let is_locked =
            |queue: &&mut CachedQueue| queue.sequence.is_some_and(|sequence| locked.contains(&sequence));
        self.queues.values_mut().filter(is_locked).for_each(|queue| queue.pause_sequence(now));
        Ok(())
    }
}

/// Reads the values of sequences, in one round trip.
fn read_values(
    client: &mut Connection,
    sequences: &[u32],
) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
    let sequences = format!("'{{{}}}'::pg_catalog.oid[]", listed(sequences));
    if let Some(name) = client.named("sequences", "pg_catalog.oid[]", || sequence_values("$1"))? {
        let answer = client.simple_query(&format!("{PATIENCE}; execute {name} ({sequences})"));
        if !answer.as_ref().is_err_and(|error| client.statements().has_lost(error)) {
            return answer;
        }
    }
    client.simple_query(&format!("{PATIENCE}; {}", sequence_values(&sequences)))
}

fn read(client: &mut Connection) -> Result<BTreeMap<i32, CachedQueue>, postgres::Error> {
    let answer = client.simple_query(&sql::queues())?;
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(CachedQueue::from_row(row)),
        _ => None,
    });
    Ok(rows.map(|queue| (queue.id, queue)).collect())
}
