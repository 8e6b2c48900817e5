//! Runtimes with one thread, several consumers in one process, and connections of a pooler.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pgq::aio::{Handlers, Worker};
use pgq::consume::Health;
use pgq::{BoxError, Event, Settings};
use postgres::{Client, NoTls, SimpleQueryMessage};
use tokio::runtime::Builder;

use super::{Applied, KINDS, QUEUE, Running, database, effects, expected, insert, is_done};
use crate::support::pgbouncer::PgBouncer;
use crate::support::{Database, wait_for};

fn settings(consumer: &str) -> Settings {
    let mut settings = Settings::new(QUEUE, consumer);
    settings.lazy_fetch = Some(50);
    settings
}

/// Makes handlers that note the data of each event.
fn noting(handled: &Arc<Mutex<Vec<String>>>) -> Handlers {
    let seen = handled.clone();
    Handlers::new().concurrency(8).on("type", move |event: Event| {
        let seen = seen.clone();
        async move {
            tokio::task::yield_now().await;
            seen.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
            Ok::<_, BoxError>(())
        }
    })
}

/// Runs a transactional and a concurrent consumer on one thread until both have read all events.
fn consume(database: &Database, client: &mut Client, conninfo: &str) {
    pgq::admin::register_consumer(client, QUEUE, "shipping").expect("registered");
    let (handled, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let handlers = noting(&handled);
    let workers = ["billing", "shipping"]
        .map(|name| Worker::with_settings(conninfo, settings(name)).loop_delay(Duration::from_millis(20)));
    thread::scope(|scope| {
        let stops = || async {
            while !stop.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let running = scope.spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let [billing, shipping] = workers;
            runtime.block_on(async {
                tokio::join!(billing.run_until(Applied, stops()), shipping.run_until(handlers, stops()))
            })
        });
        for round in 0..5 {
            insert(client, 1 + round * 100, 100);
        }
        wait_for("the end of all events", || is_done(client));
        stop.store(true, Ordering::SeqCst);
        let (billing, shipping) = running.join().expect("no panic");
        billing.expect("stopped");
        shipping.expect("stopped");
    });
    assert_eq!(effects(client), expected(1, 500), "{}", database.name());
    let mut handled = handled.lock().expect("no panic").clone();
    handled.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
    assert_eq!(handled, expected(1, 500), "{}", database.name());
}

/// A pool whose sessions others use is waited for.
#[test]
fn a_pool_that_runs_dry_delays_events_and_loses_none() {
    let (database, mut client) = database(KINDS[0]);
    let bouncer = PgBouncer::start(database.server(), 1);
    let conninfo = bouncer.conninfo(database.name());
    let worker = Worker::with_settings(&conninfo, settings("billing"));
    let running = Running::start(worker.loop_delay(Duration::from_millis(20)), Applied);
    insert(&mut client, 1, 10);
    wait_for("the first events", || is_done(&mut client));
    let mut other = Client::connect(&conninfo, NoTls).expect("accepted");
    let held = other.transaction().expect("begun");
    insert(&mut client, 11, 10);
    let mut console = Client::connect(&bouncer.conninfo("pgbouncer"), NoTls).expect("accepted");
    wait_for("the worker to wait for a session", || waiting(&mut console, database.name()) > 0);
    held.rollback().expect("released");
    wait_for("the other events", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(effects(&mut client), expected(1, 20));
}

/// Returns how many clients wait for a session of a database's pool.
fn waiting(console: &mut Client, database: &str) -> usize {
    let messages = console.simple_query("show clients").expect("readable");
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.filter(|row| row.get("database") == Some(database) && row.get("state") == Some("waiting")).count()
}

#[test]
fn a_pool_without_a_session_beside_that_of_the_lock_is_reported() {
    let (database, _client) = database(KINDS[0]);
    let bouncer = PgBouncer::start(database.server(), 1);
    let worker = Worker::with_settings(&bouncer.conninfo(database.name()), settings("billing"));
    let health = worker.health();
    let running = Running::start(worker, noting(&Arc::default()));
    let error = "cannot use a second connection beside that of the consumer's lock \
                 (queue `orders`, consumer `billing`): the server does not respond";
    wait_for("the error", || matches!(health.get(), Health::Failing(text) if text.contains(error)));
    running.end().expect("stopped");
}

#[test]
fn two_consumers_share_one_thread() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        consume(&database, &mut client, &database.conninfo());
    }
}

#[test]
fn a_pooler_may_give_each_transaction_another_session() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let bouncer = PgBouncer::start(database.server(), 4);
        consume(&database, &mut client, &bouncer.conninfo(database.name()));
    }
}
