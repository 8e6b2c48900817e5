//! Workers in services: panics, missing schemas, asynchronous callers, health, stops within a batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::consume::Health;
use pgq::{
    Batch, BoxError, BulkInsert, Consumer, ErrorKind, Event, Hooks, Outcome, Settings, Ticker, Worker,
    WorkerHandle,
};
use postgres::Client;

use crate::support::jobs::TestJob;
use crate::support::{Database, queues, wait_for};

const QUEUE: &str = "queue";
const CONSUMER: &str = "service";
const SHORT: Duration = Duration::from_millis(10);

struct Handler<F>(F);

impl<F: FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError>> Consumer for Handler<F> {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        (self.0)(event, batch)
    }
}

fn worker(database: &Database) -> Worker {
    Worker::new(&database.conninfo(), QUEUE, CONSUMER).loop_delay(SHORT).exception_sleep(SHORT)
}

fn receive<T>(received: &Receiver<T>) -> T {
    received.recv_timeout(Duration::from_secs(60)).expect("the worker reports")
}

/// Sends the errors of rounds.
struct Errors(Mutex<Sender<String>>);

impl Hooks for Errors {
    fn round_failed(&self, error: &(dyn std::error::Error + 'static)) {
        let errors = self.0.lock().expect("no panic");
        let _ = errors.send(dbscript::describe(error));
    }
}

#[test]
fn a_panic_without_a_policy_names_queue_batch_and_event() {
    let (database, mut client) = queues::database("panic", QUEUE);
    let (errors, failed) = channel();
    let consumer = Handler(|_: &Event, _: &mut Batch<'_>| panic!("out of luck"));
    let worker = worker(&database).hooks(Arc::new(Errors(Mutex::new(errors)))).spawn(consumer).expect("up");
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::tick(&mut client, QUEUE);
    let error = receive(&failed);
    for part in ["cannot process the event", "queue `queue`", "batch 1", "event 1", "out of luck"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    wait_for("the health", || matches!(worker.health(), Health::Failing(error) if error.contains("event 1")));
}

#[test]
fn a_database_without_the_schema_is_a_missing_one() {
    let database = Database::create("bare");
    let error = Ticker::new(&database.conninfo()).spawn().err().expect("no schema");
    assert_eq!(error.kind(), ErrorKind::Missing, "{error:?}");
    let error = pgq::insert_event(&mut database.client(), QUEUE, "type", "data").expect_err("no schema");
    assert_eq!(error.kind(), ErrorKind::Missing, "{error:?}");
    assert!(error.to_string().contains("pgq::schema::install"), "{error}");
    let mut client = database.client();
    let mut transaction = client.transaction().expect("begin");
    let error = BulkInsert::start(&mut transaction, QUEUE).err().expect("no schema");
    assert_eq!(error.kind(), ErrorKind::Missing, "{error:?}");
}

#[test]
fn a_worker_reports_its_health() {
    let (database, mut client) = queues::database("health", QUEUE);
    let (entered, is_entered) = channel();
    let (release, released) = channel::<()>();
    let consumer = Handler(move |_: &Event, _: &mut Batch<'_>| {
        entered.send(())?;
        released.recv()?;
        Ok(Outcome::Done)
    });
    let first = worker(&database).spawn(consumer).expect("up");
    wait_for("an idle worker", || first.health() == Health::Idle);
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::tick(&mut client, QUEUE);
    receive(&is_entered);
    assert_eq!(first.health(), Health::Working);
    let second = worker(&database).spawn(Handler(|_: &Event, _: &mut Batch<'_>| Ok(Outcome::Done)));
    let second = second.expect("up");
    wait_for("a standby", || second.health() == Health::Standby);
    release.send(()).expect("it waits");
    wait_for("the takeover", || first.health() == Health::Idle && second.health() == Health::Idle);
    first.stop();
    wait_for("the end", || first.health() == Health::Stopped);
}

fn idle_worker(database: &Database, queue: &str) -> WorkerHandle {
    let worker = Worker::new(&database.conninfo(), queue, CONSUMER).loop_delay(SHORT);
    worker.spawn(Handler(|_: &Event, _: &mut Batch<'_>| Ok(Outcome::Done))).expect("up")
}

#[test]
fn a_consumer_without_a_ticker_reports_that_until_there_is_one() {
    let (database, mut client) = queues::database("ticks", "other");
    pgq::admin::create_queue(&mut client, QUEUE).expect("the queue is new");
    let idle = idle_worker(&database, QUEUE);
    wait_for("no ticks", || matches!(idle.health(), Health::NoTicks(_)));
    let ticker = Ticker::new(&database.conninfo()).spawn().expect("up");
    wait_for("ticks", || idle.health() == Health::Idle);
    ticker.stop();
}

#[test]
fn a_program_without_a_ticker_logs_that() {
    let job = TestJob::of("greeter", &format!("queue_name = {QUEUE}\n"));
    let mut client = job.client();
    queues::install(&mut client);
    pgq::admin::create_queue(&mut client, QUEUE).expect("the queue is new");
    let _running = job.start(&[]);
    job.wait_for("no tick on queue `queue` since 20");
    job.wait_for(": is a ticker running?");
    assert_eq!(job.count("no tick on queue"), 1, "once a minute: {}", job.log());
}

#[test]
fn an_empty_batch_does_not_show_in_the_log_of_a_worker() {
    let (database, mut client) = queues::database("empty", QUEUE);
    let worker = worker(&database).spawn(Handler(|_: &Event, _: &mut Batch<'_>| Ok(Outcome::Done)));
    let worker = worker.expect("up");
    let tick = queues::tick(&mut client, QUEUE);
    wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
    worker.stop();
    let totals = worker.totals();
    assert!(totals.stats.get("count").is_none() && totals.stats.get("duration").is_none(), "{totals:?}");
}

#[test]
fn an_idle_queue_needs_no_more_ticks_than_its_rules_say() {
    let (database, mut client) = queues::database("rare", "other");
    // The last tick but one is two hours old, so the next one is due an hour after the last one.
    for (queue, minutes) in [("rare", 30), ("overdue", 70)] {
        pgq::admin::create_queue(&mut client, queue).expect("the queue is new");
        client
            .batch_execute(&format!(
                "select pgq.set_queue_config('{queue}', 'ticker_idle_period', '1 hour'); \
                 update pgq.tick set tick_time = now() - interval '2 hours' \
                     where tick_queue = (select queue_id from pgq.queue where queue_name = '{queue}'); \
                 insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq) \
                     select queue_id, nextval(queue_tick_seq), now() - interval '{minutes} minutes', 1 \
                     from pgq.queue where queue_name = '{queue}'"
            ))
            .expect("set");
    }
    let rare = idle_worker(&database, "rare");
    let overdue = idle_worker(&database, "overdue");
    wait_for("an overdue tick", || matches!(overdue.health(), Health::NoTicks(_)));
    assert_eq!(rare.health(), Health::Idle);
}

#[test]
fn a_batch_that_is_given_back_returns_from_its_first_event() {
    let (database, mut client) = queues::database("back", QUEUE);
    client.batch_execute("create table done (data text)").expect("created");
    let (reports, received) = channel();
    let gives_back = Arc::new(AtomicBool::new(true));
    let consumer = || {
        let (reports, gives_back) = (reports.clone(), gives_back.clone());
        Handler(move |event: &Event, batch: &mut Batch<'_>| {
            let insert = batch.prepare("insert into done values ($1)")?;
            batch.db()?.execute(&insert, &[&event.data()])?;
            reports.send(event.data().unwrap_or_default().to_owned())?;
            if event.data() == Some("event 2") && gives_back.load(Ordering::Relaxed) {
                batch.redeliver();
            }
            Ok(Outcome::Done)
        })
    };
    let (errors, failed) = channel();
    let hooks = Arc::new(Errors(Mutex::new(errors)));
    let first = worker(&database).hooks(hooks).spawn(consumer()).expect("up");
    queues::insert(&mut client, QUEUE, 0, 4);
    queues::tick(&mut client, QUEUE);
    for number in 0..3 {
        assert_eq!(receive(&received), format!("event {number}"));
    }
    first.stop();
    first.join().expect("stopped");
    assert!(failed.try_recv().is_err(), "no round failed");
    let count = |client: &mut Client| -> i64 {
        client.query_one("select count(*) from done", &[]).expect("readable").get(0)
    };
    assert_eq!(count(&mut client), 0, "the effects are rolled back");

    gives_back.store(false, Ordering::Relaxed);
    let totals = worker(&database).drain(consumer()).expect("drained");
    assert!(totals.rounds > 0);
    let again: Vec<String> = received.try_iter().collect();
    assert_eq!(again, ["event 0", "event 1", "event 2", "event 3"]);
    assert_eq!(count(&mut client), 4);
}

#[test]
fn a_statement_is_prepared_once_for_each_batch() {
    let (database, mut client) = queues::database("prepared", QUEUE);
    client.batch_execute("create table done (id int8)").expect("created");
    let (reports, received) = channel();
    let consumer = Handler(move |event: &Event, batch: &mut Batch<'_>| {
        let insert = batch.prepare("insert into done values ($1)")?;
        batch.db()?.execute(&insert, &[&event.id()])?;
        let prepared = "select count(*) from pg_prepared_statements where statement like 'insert into done%'";
        reports.send(batch.db()?.query_one(prepared, &[])?.get::<_, i64>(0))?;
        let refused = batch.prepare("no statement").expect_err("refused");
        assert!(refused.sqlstate().is_some(), "{refused:?}");
        Err("the policy decides".into())
    });
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.retry_policy = Some(pgq::RetryPolicy::fixed(Duration::ZERO));
    let subscription = pgq::Subscription::new(settings.clone());
    subscription.register(&mut client).expect("registered");
    queues::insert(&mut client, QUEUE, 0, 5);
    queues::tick(&mut client, QUEUE);
    Worker::with_settings(&database.conninfo(), settings).drain(consumer).expect("drained");
    assert_eq!(received.try_iter().collect::<Vec<i64>>(), [1; 5]);
}

#[test]
fn asynchronous_code_gets_an_error_that_names_the_way_out() {
    let (database, mut client) = queues::database("blocking", QUEUE);
    let subscription = pgq::Subscription::new(Settings::new(QUEUE, CONSUMER));
    subscription.register(&mut client).expect("registered");
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::tick(&mut client, QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handler = || Handler(|_: &Event, _: &mut Batch<'_>| Ok(Outcome::Done));
    let error = runtime.block_on(async { worker(&database).drain(handler()) }).expect_err("asynchronous");
    assert!(dbscript::describe(&error).contains("tokio::task::spawn_blocking"), "{error:?}");

    struct Within(tokio::runtime::Runtime);
    impl Consumer for Within {
        fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
            self.0.block_on(async { batch.next_event().map(|_| ()) })?;
            Ok(())
        }
    }
    let inner = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let error = worker(&database).drain(Within(inner)).expect_err("asynchronous");
    assert!(dbscript::describe(&error).contains("tokio::task::spawn_blocking"), "{error:?}");

    let (conninfo, consumer) = (database.conninfo(), handler());
    let worker = move || Worker::new(&conninfo, QUEUE, CONSUMER).drain(consumer);
    let task = runtime.spawn_blocking(worker);
    runtime.block_on(task).expect("no panic").expect("a thread that may block");
    assert_eq!(queues::count(&mut client, QUEUE), 1);
}
