//! Transactions of every kind that insert events.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, Error};

use super::super::generated::Numbers;
use super::{Load, QUEUES, count};

/// How many prepared transactions a producer leaves behind before it ends the oldest of them.
const LEFT_PREPARED: usize = 3;

/// Events of a transaction: queue, number.
type Events = Vec<(usize, i64)>;

struct Producer<'a> {
    load: &'a Load,
    client: Client,
    numbers: Numbers,
    prepared: Vec<(String, Events)>,
    committed: [BTreeSet<i64>; 2],
}

/// Inserts until it is time to end; returns the committed events.
pub(super) fn run(load: &Load, seed: u64) -> [BTreeSet<i64>; 2] {
    let numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let committed = [BTreeSet::new(), BTreeSet::new()];
    let mut producer = Producer { load, client: load.client(), numbers, prepared: Vec::new(), committed };
    let mut turn = 0;
    while load.lasts() {
        turn += 1;
        let mut events = Vec::new();
        let ended = producer
            .transaction(&mut events)
            .and_then(|()| producer.end(&format!("p{seed}_{turn}"), &mut events));
        if let Err(error) = ended {
            // The errors for a snapshot older than a rotation, and for a serialization failure.
            assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{error:?}");
            producer.execute("rollback").expect("rolled back");
            count(&load.counts.refused);
        }
        producer.end_prepared(LEFT_PREPARED);
    }
    producer.end_prepared(0);
    producer.committed
}

impl Producer<'_> {
    /// Begins a transaction and inserts.
    fn transaction(&mut self, events: &mut Events) -> Result<(), Error> {
        let level = match self.numbers.below(16) {
            0 | 1 => "repeatable read",
            2 => "serializable",
            _ => "read committed",
        };
        self.execute(&format!("begin isolation level {level}"))?;
        // An id or a snapshot from long before the first event.
        match self.numbers.below(4) {
            0 => self.execute("select txid_current()")?,
            1 | 2 => self.execute("select 1 from pgq.queue")?,
            _ => {}
        }
        self.pause();
        if level != "read committed" {
            thread::sleep(Duration::from_millis(self.numbers.below(300)));
        }
        self.insert(events)?;
        for _ in 0..self.numbers.below(4) {
            match self.numbers.below(3) {
                0 => self.insert(events)?,
                _ => self.savepoint(events)?,
            }
            self.pause();
        }
        Ok(())
    }

    /// Inserts in a subtransaction with one in it; takes back both, the inner one or none.
    fn savepoint(&mut self, events: &mut Events) -> Result<(), Error> {
        let before = events.len();
        self.execute("savepoint outer_one")?;
        self.insert(events)?;
        let between = events.len();
        self.execute("savepoint inner_one")?;
        self.insert(events)?;
        match self.numbers.below(3) {
            0 => {
                events.truncate(before);
                self.execute("rollback to outer_one")?;
                self.insert(events)
            }
            1 => {
                events.truncate(between);
                self.execute("rollback to inner_one")
            }
            _ => self.execute("release outer_one"),
        }
    }

    /// Inserts one event or several into one of the queues: by the function, or into its table.
    fn insert(&mut self, events: &mut Events) -> Result<(), Error> {
        let queue = self.numbers.below(2) as usize;
        let name = QUEUES[queue];
        let count = 1 + self.numbers.below(3) as i64;
        let first = self.load.next.fetch_add(count, Ordering::Relaxed);
        let last = first + count - 1;
        let series = format!("from generate_series({first}, {last}) number");
        if self.numbers.below(3) > 0 {
            self.execute(&format!("select pgq.insert_event('{name}', 'type', number::text) {series}"))?;
        } else {
            let table = format!("select pgq.current_event_table('{name}')");
            let table: String = self.client.query_one(&table, &[])?.get(0);
            self.pause();
            self.execute(&format!(
                "insert into {table} (ev_time, ev_data) select now(), number::text {series}"
            ))?;
        }
        events.extend((first..=last).map(|number| (queue, number)));
        Ok(())
    }

    /// Ends the transaction in one of many ways.
    fn end(&mut self, name: &str, events: &mut Events) -> Result<(), Error> {
        match self.numbers.below(10) {
            0 => {
                self.execute("rollback")?;
                count(&self.load.counts.rolled_back);
            }
            1..=3 => {
                self.execute(&format!("prepare transaction '{name}'"))?;
                self.prepared.push((name.to_owned(), std::mem::take(events)));
            }
            _ => {
                self.execute("commit")?;
                self.commit(std::mem::take(events));
            }
        }
        Ok(())
    }

    /// Ends prepared transactions in any order until only so many are left.
    fn end_prepared(&mut self, left: usize) {
        while self.prepared.len() > left {
            let at = self.numbers.below(self.prepared.len() as u64) as usize;
            let (name, events) = self.prepared.swap_remove(at);
            let rolled_back = self.numbers.below(4) == 0;
            let verb = if rolled_back { "rollback" } else { "commit" };
            self.execute(&format!("{verb} prepared '{name}'")).expect("a prepared transaction ends");
            if rolled_back {
                count(&self.load.counts.rolled_back);
            } else {
                count(&self.load.counts.prepared);
                self.commit(events);
            }
        }
    }

    fn commit(&mut self, events: Events) {
        count(&self.load.counts.committed);
        for (queue, number) in events {
            self.committed[queue].insert(number);
        }
    }

    fn execute(&mut self, statement: &str) -> Result<(), Error> {
        self.client.batch_execute(statement)
    }

    /// Keeps the transaction open for a while, mostly not at all and now and then for long.
    fn pause(&mut self) {
        let milliseconds = match self.numbers.below(100) {
            0 => self.numbers.below(1_000),
            1..=9 => self.numbers.below(60),
            _ => return,
        };
        thread::sleep(Duration::from_millis(milliseconds));
    }
}
