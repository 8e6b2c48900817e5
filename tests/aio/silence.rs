//! Servers that do not respond any more.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use pgq::aio::{Batch, Consumer, Worker};
use pgq::consume::Health;
use pgq::{BoxError, Event, Outcome};
use postgres::Client;
use tokio::sync::{Notify, Semaphore};

use super::seen::Seen;
use super::{
    Applied, KINDS, QUEUE, Running, database, effects, expected, insert, is_done, runtime, settings,
};
use crate::support::relay::Relay;
use crate::support::{Database, WAIT_LIMIT, wait_for};

/// Returns a database, and a proxy before its server.
fn behind_relay() -> (Database, Client, Relay, String) {
    let (database, client) = database(KINDS[0]);
    let relay = Relay::start(database.server());
    let conninfo = relay.conninfo(database.name());
    (database, client, relay, conninfo)
}

/// Fails when the code takes as long as any test waits for anything.
#[track_caller]
fn ends<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> T {
    let (ended, is_ended) = channel();
    thread::spawn(move || ended.send(code()).expect("the test waits"));
    is_ended.recv_timeout(WAIT_LIMIT).expect("it ends")
}

#[test]
fn a_worker_is_starting_until_the_server_answers() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = silent.local_addr().expect("it listens").port();
    let conninfo = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable");
    let worker = Worker::with_settings(&conninfo, settings());
    let health = worker.health();
    let running = Running::start(worker, Applied);
    let connection = ends(move || silent.accept().expect("the worker connects"));
    assert_eq!(health.get(), Health::Starting);
    drop(connection);
    running.end_by_itself().expect_err("nothing listens");
    assert_eq!(health.get(), Health::Stopped);
}

#[test]
fn an_idle_consumer_connects_again_when_a_proxy_has_lost_the_server() {
    let (_database, mut client, relay, conninfo) = behind_relay();
    pgq::admin::register_consumer(&mut client, QUEUE, "shipping").expect("registered");
    let (seen, permits) = (Seen::default(), Arc::new(Semaphore::new(100)));
    let billing = Running::start(Worker::with_settings(&conninfo, settings()), Applied);
    let shipping = Running::start(Worker::new(&conninfo, QUEUE, "shipping"), seen.handlers(2, &permits));
    insert(&mut client, 1, 10);
    wait_for("the first events", || is_done(&mut client));
    relay.lose_server();
    insert(&mut client, 11, 10);
    wait_for("the other events", || is_done(&mut client));
    billing.end().expect("stopped");
    shipping.end().expect("stopped");
    assert_eq!(effects(&mut client), expected(1, 20));
    assert_eq!(seen.ended().len(), 20);
}

#[test]
fn a_consumer_that_waits_for_notifications_notices_that_its_session_was_ended() {
    let (database, mut client) = database(KINDS[0]);
    let worker =
        Worker::with_settings(&database.conninfo(), settings()).loop_delay(Duration::from_secs(3600));
    let health = worker.health();
    let running = Running::start(worker, Applied);
    for round in 0..3 {
        insert(&mut client, 1 + round * 10, 10);
        let pids = "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = 'billing'";
        wait_for("its session", || !client.query(pids, &[]).expect("readable").is_empty());
        wait_for("the events", || is_done(&mut client));
        wait_for("the next wait", || health.get() == Health::Idle);
    }
    running.end().expect("stopped");
    assert_eq!(effects(&mut client), expected(1, 30));
}

#[test]
fn another_process_takes_over_and_the_first_one_gives_its_batch_up() {
    let (database, mut client, relay, conninfo) = behind_relay();
    insert(&mut client, 1, 10);
    let (first, permits) = (Seen::default(), Arc::new(Semaphore::new(3)));
    let worker = Worker::with_settings(&conninfo, settings());
    let health = worker.health();
    let running = Running::start(worker, first.handlers(2, &permits));
    wait_for("five events", || first.started() == 5);
    relay.lose_server();
    let (second, free) = (Seen::default(), Arc::new(Semaphore::new(100)));
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let other = Running::start(worker, second.handlers(2, &free));
    wait_for("the end of all events", || is_done(&mut client));
    assert_eq!(second.ended().len(), 10);
    wait_for("the loss to be noticed", || matches!(health.get(), Health::Failing(_) | Health::Standby));
    permits.add_permits(100);
    wait_for("standing by", || health.get() == Health::Standby);
    running.end().expect("stopped");
    other.end().expect("stopped");
    assert_eq!(first.ended().len(), 3);
    assert_eq!(first.started(), 5);
}

/// Writes each event, and then waits.
struct Waiting {
    written: Arc<Notify>,
    released: Arc<Notify>,
}

impl Consumer for Waiting {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        Applied.process_event(event, batch).await?;
        self.written.notify_one();
        self.released.notified().await;
        Ok(Outcome::Done)
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_commit_without_an_answer() {
    let (database, mut client, relay, conninfo) = behind_relay();
    insert(&mut client, 1, 1);
    let (written, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let consumer = Waiting { written: written.clone(), released: released.clone() };
    let worker = Worker::with_settings(&conninfo, settings()).shutdown_limit(Duration::from_millis(50));
    let running = Running::start(worker, consumer);
    runtime().block_on(written.notified());
    relay.fall_silent();
    released.notify_one();
    wait_for("the commit", || relay.is_awaited());
    ends(|| running.end()).expect("stopped");
    let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), Applied);
    wait_for("the event", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(effects(&mut client), expected(1, 1));
}

#[test]
fn the_end_of_a_runtime_does_not_wait_for_a_registration() {
    let (database, mut client, _relay, conninfo) = behind_relay();
    let mut holder = database.client();
    let mut held = holder.transaction().expect("begun");
    held.batch_execute("lock table pgq.consumer in access exclusive mode").expect("locked");
    let running = Running::start(Worker::with_settings(&conninfo, settings()), Applied);
    let waiting = "select count(*) > 0 from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock'";
    wait_for("the registration", || client.query_one(waiting, &[]).expect("readable").get(0));
    ends(|| drop(running));
    held.rollback().expect("unlocked");
}
