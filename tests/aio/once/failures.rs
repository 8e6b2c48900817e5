//! Handlers that fail, and servers that do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use pgq::{Outcome, RetryPolicy};
use postgres::Client;

use super::super::{KINDS, QUEUE, effects, expected, insert, is_done, settings};
use super::*;
use crate::support::server::Server;

/// How often each event was handled.
type Attempts = Arc<Mutex<HashMap<i64, u32>>>;

fn attempt(attempts: &Attempts, event: &Event) -> u32 {
    *attempts.lock().expect("no panic").entry(event.id()).and_modify(|count| *count += 1).or_insert(1)
}

/// Writes, and fails in another way each time it is called for the event.
async fn fail_first(event: Event, mut tx: Tx, attempt: u32) -> Result<Outcome, BoxError> {
    write(&event, &mut tx).await?;
    if event.id() % 3 != 0 {
        return Ok(Outcome::Done);
    }
    match attempt {
        1 => Err("an error".into()),
        2 => panic!("a panic"),
        3 => Ok(Outcome::Retry(Duration::ZERO)),
        4 => {
            sqlx::query("select 1 / 0").execute(&mut *tx).await.expect_err("the transaction is aborted");
            Ok(Outcome::Done)
        }
        _ => Ok(Outcome::Done),
    }
}

/// Makes a batch of the events that are to be retried.
fn retry(client: &mut Client) {
    let row = client.query_one("select pgq.maint_retry_events()", &[]).expect("maintained");
    if row.get::<_, i32>(0) > 0 {
        queues::tick(client, QUEUE);
    }
}

/// Runs handlers of a pool until no event is left.
fn consume(
    database: &Database,
    client: &mut Client,
    connections: u32,
    handlers: impl FnOnce(ExactlyOnce) -> Handlers,
) {
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let worker = worker.retry(RetryPolicy::fixed(Duration::ZERO).max_retries(9));
    let runtime = super::super::runtime();
    let once = runtime.block_on(async { ExactlyOnce::new(pool(&database.conninfo(), connections)) });
    let running = Running::start(worker, handlers(once));
    wait_for("the end of all events", || {
        retry(client);
        is_done(client)
    });
    running.end().expect("stopped");
}

#[test]
fn effects_of_a_call_that_was_not_done_are_rolled_back() {
    for (kind, keeps_order) in KINDS.into_iter().zip([false, true]) {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 30);
        consume(&database, &mut client, 2, |once| {
            let attempts = Attempts::default();
            let handler = once.handler(move |event: Event, tx: Tx| {
                let attempt = attempt(&attempts, &event);
                fail_first(event, tx, attempt)
            });
            let handlers = Handlers::new().on("type", handler).concurrency(16);
            if keeps_order { handlers.ordered_by(Event::extra1) } else { handlers }
        });
        let mut written = effects(&mut client);
        written.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert_eq!(written, expected(1, 30), "{kind:?}");
    }
}

#[test]
fn an_event_that_fails_for_good_has_no_effects() {
    let (database, mut client) = database(Kind::Own);
    insert(&mut client, 1, 10);
    consume(&database, &mut client, 1, |once| {
        Handlers::new().on(
            "type",
            once.handler(|event: Event, mut tx: Tx| async move {
                write(&event, &mut tx).await?;
                match event.data() {
                    Some("event 5") => Ok::<_, BoxError>(Outcome::Failed("no five".to_owned())),
                    _ => Ok(Outcome::Done),
                }
            }),
        )
    });
    let failed = "select string_agg(ev_data, ',') from pgq.failed_queue";
    assert_eq!(client.query_one(failed, &[]).expect("readable").get::<_, &str>(0), "event 5");
    let mut written = effects(&mut client);
    written.insert(4, "event 5".to_owned());
    assert_eq!(written, expected(1, 10));
}

/// The transaction is kept until the event was tagged for retry.
#[test]
fn a_handler_that_keeps_its_transaction_fails() {
    let (database, mut client) = database(Kind::Own);
    insert(&mut client, 1, 5);
    let (kept, mut keep) = tokio::sync::mpsc::unbounded_channel();
    let attempts = Attempts::default();
    let runtime = super::super::runtime();
    let once = runtime.block_on(async { ExactlyOnce::new(pool(&database.conninfo(), 2)) });
    let handlers = Handlers::new().on(
        "type",
        once.handler(move |event: Event, mut tx: Tx| {
            let (kept, attempt) = (kept.clone(), attempt(&attempts, &event));
            async move {
                write(&event, &mut tx).await?;
                if attempt == 1 && event.data() == Some("event 3") {
                    kept.send(tx)?;
                }
                Ok::<_, BoxError>(())
            }
        }),
    );
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let running = Running::start(worker.retry(RetryPolicy::fixed(Duration::ZERO)), handlers);
    wait_for("the retry", || {
        let reason = "select count(*) from pgq.retry_queue where ev_data = 'event 3'";
        client.query_one(reason, &[]).expect("readable").get::<_, i64>(0) == 1
    });
    assert_eq!(effects(&mut client).len(), 4);
    let _runtime = runtime.enter();
    drop(keep.try_recv().expect("kept"));
    wait_for("the event", || {
        retry(&mut client);
        is_done(&mut client)
    });
    running.end().expect("stopped");
    assert_eq!(effects(&mut client), expected(1, 5));
}

#[test]
fn lost_connections_and_restarts_cost_no_retry_and_no_effect() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let (mut client, target) = two_databases(&server);
    insert(&mut client, 1, 800);
    let runtime = super::super::runtime();
    let once = runtime.block_on(async { ExactlyOnce::new(pool(&target, 8)) });
    let handler = once.handler(|event: Event, mut tx: Tx| async move { write(&event, &mut tx).await });
    let handlers = Handlers::new().on("type", handler).concurrency(16);
    // With a policy whose first failure is the last one, a failure would show.
    let worker = Worker::with_settings(&server.conninfo("source"), settings());
    let running = Running::start(worker.retry(RetryPolicy::fixed(Duration::ZERO).max_retries(0)), handlers);
    for round in 1..=2 {
        let mut target = server.client("target");
        wait_for("some effects", || effects(&mut target).len() >= round * 200);
        match round {
            2 => server.restart_immediate(),
            _ => terminate(&mut target),
        }
    }
    let mut client = server.client("source");
    wait_for("the end of all events", || is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(effects(&mut server.client("target")), expected(1, 800));
    let failed = "select count(*) from pgq.failed_queue";
    assert_eq!(client.query_one(failed, &[]).expect("readable").get::<_, i64>(0), 0);
}

/// Makes a database with the queue, and another one for the effects; returns its connection string.
fn two_databases(server: &Server) -> (Client, String) {
    server.create_database("source");
    server.create_database("target");
    let (mut source, mut target) = (server.client("source"), server.client("target"));
    queues::install_as(&mut source, Kind::Own);
    super::super::prepare(&mut source);
    pgq_ext::schema::install(&mut target).expect("installed");
    target.batch_execute("create table effect (event bigint, data text)").expect("created");
    (source, server.conninfo("target"))
}

fn terminate(client: &mut Client) {
    let effects = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'effects'";
    client.execute(effects, &[]).expect("terminated");
}
