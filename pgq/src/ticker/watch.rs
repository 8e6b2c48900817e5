//! What the ticker remembers of all queues, so that a look at them costs next to nothing.
//!
//! Nothing can have become due by new events while no transaction has ended but the ticker's own. Then a look
//! is one short statement. After others it also reads the queues' sequences, of queues without events not every
//! time, and at times the queues anew.

use crate::sql::ticker::{PATIENCE, listed};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::failing::is_locked;
use super::mark::Mark;
use super::queue::{self, Queue};
use crate::sql::ticker as sql;

/// How often queues are read anew when others are at work.
const RELOAD: Duration = Duration::from_secs(1);
/// How many sequences are read at a time: each is locked for the length of the statement.
const SEQUENCES: usize = 1_000;
/// How often a look is repeated because a queue was dropped meanwhile.
const TRIES: u32 = 3;

#[derive(Default)]
pub(super) struct Watch {
    queues: BTreeMap<i32, Queue>,
    mark: Option<Mark>,
    loaded: Option<Instant>,
    /// Whether others were at work since the queues were read.
    stale: bool,
    now: f64,
}

/// What is committed, as text, and what time it is, in seconds.
const MOMENT: &str = "select pg_catalog.pg_current_snapshot()::pg_catalog.text, extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8";

/// $1 sequences. Those that another session has locked so that they cannot be read.
const LOCKED: &str = "select distinct relation from pg_catalog.pg_locks where granted and relation = any ($1) \
     and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) \
     and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// Makes the statements that return how far sequences have come, as one text; nothing for one not used yet.
fn reached(sequences: &[u32]) -> String {
    format!(
        "{PATIENCE}; select pg_catalog.string_agg(coalesce(pg_catalog.pg_sequence_last_value(sequence)::pg_catalog.text, ''), ',' order by place) \
         from pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) with ordinality sequences (sequence, place)",
        listed(sequences)
    )
}

impl Watch {
    /// Forgets everything; the next look reads it anew.
    pub(super) fn forget(&mut self) {
        *self = Watch::default();
    }

    /// Finds out what has changed.
    pub(super) fn look(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        let moment = client.query_typed_one(MOMENT, &[])?;
        self.now = moment.get(1);
        let mark = Mark::parse(moment.get(0));
        let changed = mark.is_none() || mark != self.mark;
        self.mark = mark;
        self.stale |= changed;
        self.queues.values_mut().for_each(|queue| queue.stale |= changed);
        let reloads = self.stale && self.loaded.is_none_or(|at| at.elapsed() >= RELOAD);
        if reloads {
            self.reload(client)?;
        }
        self.follow(client)
    }

    /// Returns the queues that may be due.
    pub(super) fn due(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values().filter(|queue| queue.is_due(self.now))
    }

    /// Returns a queue's name.
    pub(super) fn name(&self, id: i32) -> &str {
        self.queues.get(&id).map_or("", |queue| &queue.name)
    }

    /// Takes note of a transaction that made ticks.
    pub(super) fn skip(&mut self, transaction: u64) {
        if let Some(mark) = &mut self.mark {
            mark.skip(transaction);
        }
    }

    /// Takes note of the last tick of a queue that was asked to tick.
    pub(super) fn last_tick(&mut self, row: &SimpleQueryRow) {
        let Some((id, event_seq, time)) = queue::last_tick(row) else { return };
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.ticked(event_seq, time);
        }
    }

    /// Takes note that the server saw no need of a tick.
    pub(super) fn hold_off(&mut self, id: i32) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.hold_off(self.now);
        }
    }

    fn reload(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        let before = std::mem::take(&mut self.queues);
        self.queues = read(client)?;
        for (id, queue) in &mut self.queues {
            let Some(before) = before.get(id) else { continue };
            if before.rules == queue.rules {
                queue.goes_on_from(before);
                queue.held_off = before.held_off;
            }
        }
        self.loaded = Some(Instant::now());
        self.stale = false;
        Ok(())
    }

    /// Reads how far the sequences have come. One that is gone, or locked, must not keep the others from it.
    fn follow(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        for _ in 1..TRIES {
            match self.try_follow(client) {
                Err(error) if is_locked(&error) => self.leave_locked(client)?,
                Err(error) if error.as_db_error().is_some() => self.reload(client)?,
                done => return done,
            }
        }
        self.try_follow(client)
    }

    fn try_follow(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        let now = self.now;
        let mut readable: Vec<(&mut Queue, u32)> = self
            .queues
            .values_mut()
            .filter(|queue| queue.is_to_be_followed(now))
            .filter_map(|queue| queue.sequence.map(|sequence| (queue, sequence)))
            .collect();
        for part in readable.chunks_mut(SEQUENCES) {
            let sequences: Vec<u32> = part.iter().map(|(_, sequence)| *sequence).collect();
            let answer = client.simple_query(&reached(&sequences))?;
            let text = answer.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            for ((queue, _), reached) in part.iter_mut().zip(text.unwrap_or_default().split(',')) {
                // A sequence that was not used yet counts as its first value.
                queue.reach(reached.parse().unwrap_or(1), now);
            }
        }
        Ok(())
    }

    /// Leaves the sequences alone for a while that others have locked.
    fn leave_locked(&mut self, client: &mut Client) -> Result<(), postgres::Error> {
        let sequences: Vec<u32> = self.queues.values().filter_map(|queue| queue.sequence).collect();
        let rows = client.query_typed(LOCKED, &[(&sequences, Type::OID_ARRAY)])?;
        let locked: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect();
        let now = self.now;
        let is_locked =
            |queue: &&mut Queue| queue.sequence.is_some_and(|sequence| locked.contains(&sequence));
        self.queues.values_mut().filter(is_locked).for_each(|queue| queue.rest(now));
        Ok(())
    }
}

fn read(client: &mut Client) -> Result<BTreeMap<i32, Queue>, postgres::Error> {
    let answer = client.simple_query(&sql::queues())?;
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(Queue::from_row(row)),
        _ => None,
    });
    Ok(rows.map(|queue| (queue.id, queue)).collect())
}
