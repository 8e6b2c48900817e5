//! Consumers: alone, slow, twice under one name, cooperative, late.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use postgres::{Client, Error, Transaction};

use super::super::generated::Numbers;
use super::{Load, QUEUES, count};

/// The consumer that registers amid the load.
pub(super) const LATE: &str = "late";

/// One session that consumes; those with one name share the work.
pub(super) struct Consumer {
    pub(super) queue: &'static str,
    pub(super) name: &'static str,
    /// Which subconsumer it is, if it is one.
    sub: Option<&'static str>,
    /// One event in this many is retried at first.
    retries: Option<i64>,
    /// Takes many ticks as one batch, and keeps it open for up to so many milliseconds.
    slow: u64,
}

/// The numbers of the events that a session has processed, from one on.
pub(super) struct Seen {
    pub(super) queue: &'static str,
    pub(super) name: &'static str,
    pub(super) from: i64,
    pub(super) events: Vec<i64>,
}

const fn consumer(queue: &'static str, name: &'static str) -> Consumer {
    Consumer { queue, name, sub: None, retries: None, slow: 0 }
}

/// Registers those that are there from the beginning.
pub(super) fn register(client: &mut Client) -> Vec<Consumer> {
    let [wide, tight] = QUEUES;
    let coop = |sub| Consumer { sub: Some(sub), retries: Some(30), ..consumer(wide, "coop") };
    let all = vec![
        consumer(wide, "plain"),
        Consumer { retries: Some(10), ..consumer(wide, "retrying") },
        Consumer { retries: Some(20), ..consumer(wide, "twice") },
        Consumer { retries: Some(20), ..consumer(wide, "twice") },
        coop("a"),
        coop("b"),
        coop("c"),
        consumer(tight, "plain"),
        Consumer { slow: 300, ..consumer(tight, "slow") },
    ];
    for consumer in &all {
        match consumer.sub {
            None => {
                client.execute("select pgq.register_consumer($1, $2)", &[&consumer.queue, &consumer.name])
            }
            Some(sub) => client.execute(
                "select pgq_coop.register_subconsumer($1, $2, $3)",
                &[&consumer.queue, &consumer.name, &sub],
            ),
        }
        .expect("registered");
    }
    all
}

/// Registers and runs a consumer after a while. It gets all events that are inserted from then on.
pub(super) fn join_later(load: &Load, after: Duration) -> Seen {
    thread::sleep(after);
    let late = consumer(QUEUES[0], LATE);
    let register = "select pgq.register_consumer($1, $2)";
    load.client().execute(register, &[&late.queue, &late.name]).expect("registered");
    let from = load.next.load(Ordering::SeqCst);
    Seen { from, ..late.run(load) }
}

impl Consumer {
    /// Reads batches until the load is done and nothing is left.
    pub(super) fn run(&self, load: &Load) -> Seen {
        let mut client = load.client();
        let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
        let mut seen = Seen { queue: self.queue, name: self.name, from: 0, events: Vec::new() };
        loop {
            let last_round = load.done.load(Ordering::SeqCst);
            let Some(batch) = self.next_batch(&mut client, &mut numbers) else {
                if last_round {
                    return seen;
                }
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            if self.slow > 0 {
                thread::sleep(Duration::from_millis(numbers.below(self.slow)));
            }
            match self.process(&mut client, batch) {
                Ok(Some(events)) => {
                    count(&load.counts.batches);
                    seen.events.extend(events);
                }
                Ok(None) => count(&load.counts.lost_races),
                Err(error) => {
                    self.assert_outrun(&error);
                    count(&load.counts.lost_races);
                }
            }
        }
    }

    /// Fails unless another session under this name was faster.
    fn assert_outrun(&self, error: &Error) {
        let message = error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).message();
        let gone = ["batch not found", "event not found", "Cannot find data for batch"];
        let outrun = gone.iter().any(|gone| message.starts_with(gone));
        assert!(outrun && (self.name == "twice" || self.sub.is_some()), "{}: {message}", self.name);
    }

    /// A subconsumer sometimes considers the owners of open batches dead.
    fn next_batch(&self, client: &mut Client, numbers: &mut Numbers) -> Option<i64> {
        let answer = match self.sub {
            None if self.slow > 0 => {
                let next = "select batch_id from pgq.next_batch_custom($1, $2, null, 200, '0.3 seconds')";
                client.query_one(next, &[&self.queue, &self.name])
            }
            None => client.query_one("select pgq.next_batch($1, $2)", &[&self.queue, &self.name]),
            Some(sub) => client.query_one(
                "select pgq_coop.next_batch($1, $2, $3, $4::text::interval)",
                &[&self.queue, &self.name, &sub, &if numbers.below(5) == 0 { "0" } else { "1 hour" }],
            ),
        };
        answer.unwrap_or_else(|error| panic!("{}: {error:?}", self.name)).get(0)
    }

    /// Processes and finishes a batch in one transaction; returns nothing when another session has finished it.
    fn process(&self, client: &mut Client, batch: i64) -> Result<Option<Vec<i64>>, Error> {
        let mut transaction = client.transaction()?;
        let events = self.read(&mut transaction, batch)?;
        let finish = if self.sub.is_some() { "pgq_coop" } else { "pgq" };
        let finished = transaction.query_one(&format!("select {finish}.finish_batch($1)"), &[&batch])?;
        if finished.get::<_, i32>(0) == 0 {
            return Ok(None);
        }
        transaction.commit()?;
        Ok(Some(events))
    }

    fn read(&self, transaction: &mut Transaction<'_>, batch: i64) -> Result<Vec<i64>, Error> {
        let events = "select ev_id, ev_data::int8, ev_retry from pgq.get_batch_events($1)";
        let mut read = Vec::new();
        for row in transaction.query(events, &[&batch])? {
            let (id, data, retried): (i64, i64, Option<i32>) = (row.get(0), row.get(1), row.get(2));
            if retried.is_none() && self.retries.is_some_and(|nth| data % nth == 0) {
                transaction.execute("select pgq.event_retry($1, $2, 0)", &[&batch, &id])?;
            } else {
                read.push(data);
            }
        }
        Ok(read)
    }
}
