//! Heartbeats of subconsumers during long batches.

use std::sync::mpsc::{Receiver, Sender, channel};

use pgq::{Worker, WorkerHandle};

use super::coop::sub;
use super::*;
use crate::support::wait_for;

/// The timeout of the subconsumer that works. The other one waits for an hour, and the test sets the clock of the row back.
const TIMEOUT: Duration = Duration::from_millis(300);

/// Starts a subconsumer with one event, whose handler runs until `go` is used.
fn start(
    database: &Database,
    change: impl FnOnce(&mut Settings),
) -> (WorkerHandle, Receiver<()>, Sender<()>) {
    let (out, started) = channel();
    let (go, wait) = channel();
    let consumer = handler(move |_, _| {
        out.send(())?;
        wait.recv()?;
        Ok(Outcome::Done)
    });
    let settings = sub("a", |settings| {
        settings.subconsumer_timeout = Some(TIMEOUT);
        change(settings);
    });
    let worker = Worker::with_settings(&database.conninfo(), settings.settings().clone());
    (worker.loop_delay(SHORT).spawn(consumer).expect("up"), started, go)
}

fn is_active(client: &mut Client) -> bool {
    let query =
        "select sub_active > now() - interval '1 hour' from pgq.subscription where sub_batch is not null";
    client.query_one(query, &[]).expect("an open batch").get(0)
}

fn set_back(client: &mut Client) {
    let update =
        "update pgq.subscription set sub_active = now() - interval '1 day' where sub_batch is not null";
    assert_eq!(client.execute(update, &[]).expect("updated"), 1);
}

#[test]
fn a_subconsumer_whose_handler_takes_longer_than_the_timeout_keeps_its_batch() {
    for pgq in Pgq::WHOLE {
        for autocommit in [false, true] {
            let (database, mut client) = pgq.database();
            let (worker, started, go) = start(&database, |settings| settings.autocommit = autocommit);
            let other = sub("b", |settings| settings.subconsumer_timeout = Some(Duration::from_secs(3600)));
            wait_for("the registration", || other.is_registered(&mut client).is_ok());
            fill(&mut client, 1);
            started.recv_timeout(Duration::from_secs(60)).expect("started");
            for _ in 0..3 {
                set_back(&mut client);
                wait_for("a heartbeat", || is_active(&mut client));
                assert_eq!(other.next_batch(&mut client).expect("answers"), None, "{pgq:?}");
            }
            go.send(()).expect("waiting");
            let open = "select count(*) from pgq.subscription where sub_batch is not null";
            wait_for("the end of the batch", || {
                client.query_one(open, &[]).expect("readable").get::<_, i64>(0) == 0
            });
            worker.stop();
            worker.join().expect("stopped");
        }
    }
}

#[test]
fn a_subconsumer_works_without_the_function() {
    let (database, mut client) = Pgq::Own.database();
    client.batch_execute("drop function pgq_coop.touch_subconsumer(text, text, text)").expect("dropped");
    let (worker, started, go) = start(&database, |_| ());
    wait_for("the registration", || sub("a", |_| ()).is_registered(&mut client).is_ok_and(|is| is));
    fill(&mut client, 1);
    started.recv_timeout(Duration::from_secs(60)).expect("started");
    set_back(&mut client);
    let other = sub("b", |settings| settings.subconsumer_timeout = Some(Duration::from_secs(3600)));
    other.register(&mut client).expect("registered");
    assert!(other.next_batch(&mut client).expect("answers").is_some(), "nothing keeps the batch");
    go.send(()).expect("waiting");
    worker.stop();
    worker.join().expect("stopped");
}

#[test]
fn a_quick_batch_opens_no_connection() {
    let (database, mut client) = Pgq::Own.database();
    let (worker, started, go) = start(&database, |settings| {
        settings.subconsumer_timeout = Some(Duration::from_secs(3600));
        settings.listen = false;
    });
    wait_for("the registration", || sub("a", |_| ()).is_registered(&mut client).is_ok_and(|is| is));
    fill(&mut client, 1);
    started.recv_timeout(Duration::from_secs(60)).expect("started");
    let sessions = "select count(*) from pg_stat_activity \
         where datname = current_database() and application_name = $1";
    let count: i64 = client.query_one(sessions, &[&CONSUMER]).expect("readable").get(0);
    assert_eq!(count, 1);
    go.send(()).expect("waiting");
    worker.stop();
    worker.join().expect("stopped");
}
