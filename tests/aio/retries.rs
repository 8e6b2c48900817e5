//! Batches of nothing but retries.

use nix::sys::signal::Signal;

use super::{CONSUMER, KINDS, QUEUE, database};
use crate::support::amount::pick;
use crate::support::programs::{Running, command};
use crate::support::{queues, wait_for};

#[test]
fn a_million_retries_in_one_batch_take_little_memory() {
    // Of a million tags, the ids and marks are in memory twice while they are sent.
    let (events, kilobytes) = pick((10_000, 50_000), (1_000_000, 250_000));
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let table: String =
            client.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("one").get(0);
        let insert = format!(
            "insert into {table} (ev_id, ev_time, ev_type, ev_data) \
             select nextval(queue_event_seq::regclass), now(), 'type', 'event' \
             from pgq.queue cross join generate_series(1, {events})"
        );
        client.batch_execute(&insert).expect("inserted");
        let tick = queues::tick(&mut client, QUEUE);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut running =
            Running::start(command("async_effects", folder.path()).args([&database.conninfo(), "retry"]));
        wait_for("the end of the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        let peak = running.peak_memory();
        running.signal(Signal::SIGTERM);
        running.wait();
        let retries = client.query_one("select count(*) from pgq.retry_queue", &[]).expect("readable");
        assert_eq!(retries.get::<_, i64>(0), events, "{kind:?}");
        assert!(peak < kilobytes, "{kind:?}: {peak} kB");
    }
}
