//! Values that are dropped while their server does not respond.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use dbscript::{BoxError, Context, Round, Script, Worker};
use pgq::{BufferedProducer, OwnedEvent};

use super::*;
use crate::support::relay::Relay;
use crate::support::shared;

const HOUR: Duration = Duration::from_secs(3600);

/// Fails when its server has become silent.
struct Failing {
    relay: Relay,
    rounds: Sender<()>,
    in_transaction: bool,
}

impl Script for Failing {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.rounds.send(())?;
        let mut connection = cx.database("db")?;
        if self.in_transaction {
            let mut transaction = connection.transaction()?;
            transaction.batch_execute("select 1")?;
            self.relay.lose_server();
            return Err("given up".into());
        }
        let reader = connection.copy_out("copy (select generate_series(1, 100000000)) to stdout")?;
        self.relay.lose_server();
        drop(reader);
        Err("given up".into())
    }
}

/// Fails unless a second round follows one that a silent server has failed.
#[track_caller]
fn expect_another_round(in_transaction: bool) {
    let relay = Relay::start(shared());
    let worker = Worker::new("failing").database("db", &relay.conninfo("postgres"));
    let (rounds, seen) = channel();
    let worker = worker.exception_sleep(Duration::ZERO);
    let handle = worker.spawn(Failing { relay, rounds, in_transaction }).expect("up");
    for _ in 0..2 {
        seen.recv_timeout(Duration::from_secs(60)).expect("a round");
    }
    drop(handle);
}

/// The driver waits for the answer to the rollback.
#[test]
fn a_rollback_does_not_wait_for_a_silent_server() {
    expect_another_round(true);
}

/// The driver waits for the rest of an unfinished read.
#[test]
fn an_unfinished_copy_does_not_wait_for_a_silent_server() {
    expect_another_round(false);
}

/// Dropping a producer does not wait for its queue, even with a long patience.
#[test]
fn a_dropped_producer_does_not_wait_for_its_patience() {
    let (database, mut client) = queues::database("drops", QUEUE);
    let producer = BufferedProducer::builder(&database.conninfo(), QUEUE)
        .max_delay(Duration::ZERO)
        .patience(HOUR)
        .spawn()
        .expect("up");
    let mut lock = client.transaction().expect("begun");
    let table: String = lock.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("one").get(0);
    lock.batch_execute(&format!("lock table {table} in exclusive mode")).expect("locked");
    producer.send(OwnedEvent::new("t", "1")).expect("there is room");
    let dropping = thread::spawn(move || drop(producer));
    wait_for("the end of the drop", || dropping.is_finished());
    lock.commit().expect("unlocked");
    assert_eq!(queues::count(&mut client, QUEUE), 0);
    drop(database);
}
