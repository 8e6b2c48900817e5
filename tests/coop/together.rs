//! Many sessions at once, with ticks, retries and rotation in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use postgres::Transaction;

use super::*;

const WORKERS: usize = 6;
const ROUNDS: i64 = 60;
const EVENTS_A_ROUND: i64 = 20;
const POLL: Duration = Duration::from_millis(5);
/// Each event with such an id is retried once.
const RETRIED: i64 = 5;
/// Each worker fails in one of so many batches.
const CLUMSY: usize = 4;

#[test]
fn every_event_is_processed_once_by_one_of_many() {
    run("select pgq_coop.next_batch($1, $2, $3)");
}

/// All subconsumers take over each other's batches; the first to finish a batch has processed it.
#[test]
fn the_first_subconsumer_to_finish_has_processed_a_batch() {
    run("select pgq_coop.next_batch($1, $2, $3, '0')");
}

fn run(next_batch: &str) {
    let names: Vec<String> = (0..WORKERS).map(|worker| format!("worker {worker}")).collect();
    let (database, mut client) = database(&names.iter().map(String::as_str).collect::<Vec<_>>());
    client
        .batch_execute(
            "select pgq.set_queue_config('queue', 'rotation_period', '0'); \
             create table processed (ev_id bigint, worker text)",
        )
        .expect("created");
    let switched = "select queue_switch_step1 from pgq.queue";
    let before = count(&mut client, switched);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(&over);
        for name in &names {
            let worker = Worker { client: database.client(), name, next_batch, over: &over };
            scope.spawn(|| worker.run());
        }
        for round in 0..ROUNDS {
            fill(&mut client, round * EVENTS_A_ROUND, EVENTS_A_ROUND);
            maintain(&mut client);
        }
        crate::support::wait_for("all events and a rotation", || {
            maintain(&mut client);
            queues::tick(&mut client, QUEUE);
            count(&mut client, "select count(*) from processed") >= ROUNDS * EVENTS_A_ROUND
                && count(&mut client, switched) != before
        });
    });
    let distinct = "select count(distinct ev_id) from processed";
    assert_eq!(count(&mut client, "select count(*) from processed"), ROUNDS * EVENTS_A_ROUND);
    assert_eq!(count(&mut client, distinct), ROUNDS * EVENTS_A_ROUND);
    assert_eq!(count(&mut client, "select count(*) from pgq.subscription where sub_batch is not null"), 0);
}

fn maintain(client: &mut Client) {
    // A rotation and a reader of the table may wait for each other; then it is put off.
    let _ = pgq::ticker::maintain(client);
    pgq::ticker::retry_events(client).expect("returned");
}

fn count(client: &mut Client, select: &str) -> i64 {
    client.query_one(select, &[]).expect("countable").get(0)
}

/// Ends the workers, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Worker<'a> {
    client: Client,
    name: &'a str,
    next_batch: &'a str,
    over: &'a AtomicBool,
}

impl Worker<'_> {
    fn run(mut self) {
        let mut batches = 0;
        loop {
            let over = self.over.load(Ordering::Relaxed);
            let row = self.client.query_one(self.next_batch, &[&QUEUE, &CONSUMER, &self.name]);
            let Some(batch) = row.expect("answers").get::<_, Option<i64>>(0) else {
                if over {
                    return;
                }
                thread::sleep(POLL);
                continue;
            };
            batches += 1;
            let mut transaction = self.client.transaction().expect("begin");
            // A batch that another has taken and finished cannot be read any more.
            let done = process(&mut transaction, batch, self.name).unwrap_or(false);
            if done && batches % CLUMSY != 0 {
                transaction.commit().expect("committed");
            }
        }
    }
}

/// Processes a batch; returns whether it was this worker's to finish.
fn process(transaction: &mut Transaction<'_>, batch: i64, name: &str) -> Result<bool, postgres::Error> {
    let rows = transaction.query("select ev_id, ev_retry from pgq.get_batch_events($1)", &[&batch])?;
    for row in rows {
        let (event, retry): (i64, Option<i32>) = (row.get(0), row.get(1));
        if event % RETRIED == 0 && retry.is_none() {
            transaction.execute("select pgq.event_retry($1, $2, 0)", &[&batch, &event])?;
        } else {
            transaction.execute("insert into processed values ($1, $2)", &[&event, &name])?;
        }
    }
    let row = transaction.query_one("select pgq_coop.finish_batch($1)", &[&batch])?;
    Ok(row.get::<_, i32>(0) == 1)
}
