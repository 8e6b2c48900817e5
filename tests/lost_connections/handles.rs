//! Handles that are dropped during a round: dropping waits for seconds at most, and never for a server.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use dbscript::{BoxError, Context, Round, Script, Worker};
use pgq::{BufferedProducer, Ticker};
use postgres::Client;
use tokio::runtime::Builder;

use crate::buffered::{HOUR, QUEUE, SHORT, builder, event, hold, wait_held};
use crate::support::relay::Relay;
use crate::support::{Database, WAIT_LIMIT, queues, shared, wait_for};

/// Works for ever, with or without a server.
struct Endless {
    begun: Sender<()>,
    statement: Option<&'static str>,
}

impl Script for Endless {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.begun.send(())?;
        match self.statement {
            Some(statement) => cx.database("db")?.batch_execute(statement)?,
            None => thread::sleep(HOUR),
        }
        Ok(Round::Idle)
    }
}

/// Drops a handle on a thread of its own, and returns when it is dropped.
///
/// # Panics
///
/// Panics when that takes as long as any test waits for anything.
#[track_caller]
fn drop_handle(handle: impl Send + 'static) {
    let (dropped, is_dropped) = channel();
    thread::spawn(move || {
        drop(handle);
        dropped.send(()).expect("the test waits");
    });
    is_dropped.recv_timeout(WAIT_LIMIT).expect("dropping ends");
}

/// Returns a database with a queue, and a proxy before its server.
fn behind_relay() -> (Database, Relay, String) {
    let (database, _) = queues::database("handles", QUEUE);
    let relay = Relay::start(shared());
    let conninfo = relay.conninfo(database.name());
    (database, relay, conninfo)
}

/// Dropping a handle ends although the server does not respond: some of the connections still wait for a response.
#[track_caller]
fn drop_in_silence(relay: &Relay, handle: impl Send + 'static) {
    drop_handle(handle);
    assert!(relay.open() > 0, "the threads have ended, so they waited for no server");
}

/// Whether the hour passes in the program's code or in a statement, dropping does not wait for it.
#[test]
fn dropping_a_worker_does_not_wait_for_its_round() {
    for statement in [None, Some("select pg_sleep(3600)")] {
        let (begun, is_begun) = channel();
        let worker = Worker::new("endless").database("db", &shared().conninfo("postgres"));
        let handle = worker.spawn(Endless { begun, statement }).expect("up");
        is_begun.recv().expect("the round has begun");
        drop_handle(handle);
    }
}

/// Waits until a statement of the database runs that the server does not end, for which `condition` holds. Such a
/// statement has no limit, unlike the check of a connection at the beginning of a round.
#[track_caller]
fn wait_running(client: &mut Client, condition: &str) {
    let running = format!(
        "select count(*) > 0 from pg_stat_activity where datname = current_database() and {condition} \
         and pid <> pg_backend_pid()"
    );
    wait_for("a statement that waits", || {
        client.query_one(&running, &[]).expect("readable").get::<_, bool>(0)
    });
}

#[test]
fn dropping_a_worker_does_not_wait_for_a_silent_server() {
    let (database, relay, conninfo) = behind_relay();
    let (begun, _is_begun) = channel();
    let worker = Worker::new("endless").database("db", &conninfo);
    let handle = worker.spawn(Endless { begun, statement: Some("select pg_sleep(3600)") }).expect("up");
    wait_running(&mut database.client(), "wait_event = 'PgSleep'");
    relay.fall_silent();
    drop_in_silence(&relay, handle);
}

#[test]
fn dropping_a_ticker_does_not_wait_for_a_silent_server() {
    let (database, relay, conninfo) = behind_relay();
    let handle = Ticker::new(&conninfo).loop_delay(SHORT).spawn().expect("up");
    let state = handle.state();
    wait_for("the leader", || state.is_ticking());
    let mut holder = database.client();
    let mut held = holder.transaction().expect("begin");
    held.batch_execute("lock table pgq.queue in access exclusive mode").expect("locked");
    wait_running(&mut database.client(), "wait_event_type = 'Lock'");
    relay.fall_silent();
    drop_in_silence(&relay, handle);
}

/// Returns a producer whose transaction waits for `holder`'s lock behind a silent server. A producer that is closed
/// would wait for an hour.
fn silenced_producer(database: &Database, conninfo: &str, relay: &Relay) -> BufferedProducer {
    let mut client = database.client();
    let producer = builder(conninfo).patience(HOUR).spawn().expect("up");
    producer.send(event(0)).expect("there is room");
    wait_held(&mut client);
    relay.fall_silent();
    producer
}

#[test]
fn dropping_a_producer_does_not_wait_for_a_silent_server() {
    let (database, relay, conninfo) = behind_relay();
    let mut holder = database.client();
    let _held = hold(&mut holder);
    let producer = silenced_producer(&database, &conninfo, &relay);
    drop_in_silence(&relay, producer);
}

/// A task that waits for a commit holds the producer no longer than the runtime holds the task.
#[test]
fn dropping_a_producer_of_tasks_does_not_wait_for_a_silent_server() {
    let (database, relay, conninfo) = behind_relay();
    let mut holder = database.client();
    let _held = hold(&mut holder);
    let producer = silenced_producer(&database, &conninfo, &relay);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let (begun, is_begun) = channel();
    runtime.spawn(async move {
        producer.send_async(event(1)).await.expect("there is room");
        begun.send(()).expect("the test waits");
        producer.flush_async().await
    });
    is_begun.recv().expect("the task has begun");
    drop_in_silence(&relay, runtime);
}
