//! A subconsumer is killed between two of its steps.

use nix::sys::signal::Signal;
use postgres::{Client, Transaction};

use super::{
    assert_each_once, insert_batch, make_silent, open_batches, ranges, records, team, wait_until_done,
};
use crate::jetstream::Setup;
use crate::jetstream::mover::Mover;
use crate::support::programs::Running;
use crate::support::wait_for;

/// The lock for which a subconsumer waits when it finishes a batch.
const FINISHING: &str = "create function wait_here() returns trigger language plpgsql as $$ \
         begin perform pg_advisory_xact_lock(4711); return new; end $$; \
     create trigger wait_here before update on pgq.subscription for each row \
         when (old.sub_batch is not null and new.sub_last_tick is null) execute function wait_here()";

/// Keeps subconsumers from finishing batches for as long as the transaction is open.
fn hold(client: &mut Client) -> Transaction<'_> {
    client.batch_execute(FINISHING).expect("created");
    let mut transaction = client.transaction().expect("begin");
    transaction.execute("select pg_advisory_xact_lock(4711)", &[]).expect("locked");
    transaction
}

/// Starts a subconsumer, and waits until the stream has its whole batch. It cannot finish the batch yet.
fn start_finishing<'a>(setup: &Setup, client: &'a mut Client, mover: &Mover) -> (Transaction<'a>, Running) {
    insert_batch(setup, 0, 1_500);
    let lock = hold(client);
    let running = mover.start();
    wait_for("the whole batch", || {
        records(setup).iter().any(|record| record.text.contains("\"complete\":true"))
    });
    (lock, running)
}

#[test]
fn a_batch_that_the_stream_has_is_only_finished() {
    let (setup, [a, b]) = team(["a", "b"]);
    let mut client = setup.client();
    let (lock, mut running) = start_finishing(&setup, &mut client, &a);
    running.kill();
    drop(lock);
    make_silent(&setup);
    assert_eq!(open_batches(&mut client), 1);
    let running = b.start();
    wait_until_done(&setup);
    drop(running);
    assert!(b.log().contains("was applied before, finishing it"), "{}", b.log());
    assert_each_once(&setup);
}

#[test]
fn a_record_whose_batch_is_finished_is_closed_at_the_next_start() {
    let (setup, [a, b]) = team(["a", "b"]);
    let mut client = setup.client();
    let (lock, mut running) = start_finishing(&setup, &mut client, &a);
    // The stream's server does not receive the requests after the batch is finished.
    setup.nats.signal_node(0, Signal::SIGSTOP);
    drop(lock);
    wait_for("the end of the batch", || open_batches(&mut client) == 0);
    running.kill();
    setup.nats.signal_node(0, Signal::SIGCONT);
    assert_eq!(ranges(&setup)["open"].as_array().map(Vec::len), Some(1));
    let before = records(&setup).len();
    assert!(before > 0);
    insert_batch(&setup, 1, 10);
    let running = b.start();
    wait_until_done(&setup);
    drop(running);
    assert!(b.log().contains("was finished, closing its record"), "{}", b.log());
    assert_eq!(ranges(&setup)["open"].as_array().map(Vec::len), Some(0));
    assert_eq!(ranges(&setup)["completed"].as_array().map(Vec::len), Some(1));
    assert_each_once(&setup);
}

#[test]
fn a_record_that_the_ranges_do_not_have_is_removed_at_the_next_start() {
    let (setup, [a, b]) = team(["a", "b"]);
    let record = format!("{}.4711", super::POSITION);
    // As a process leaves it that is killed before it removes the record.
    setup.nats.run(|context| async move {
        context.publish(record, "{}".into()).await.expect("sent").await.expect("stored");
    });
    insert_batch(&setup, 0, 10);
    a.drain();
    assert_eq!(records(&setup).len(), 1);
    b.drain();
    assert!(records(&setup).is_empty());
    assert_each_once(&setup);
}
