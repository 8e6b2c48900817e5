//! Many producers at once, with ticks and rotation all the while: each consumer gets every event once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq::schema::Kind;
use postgres::Client;
use postgres::error::SqlState;

use crate::support::server::Server;
use crate::support::{Database, queues, wait_for};

const DATABASE: &str = "events";
const RUN: Duration = Duration::from_secs(12);
const CONSUMERS: [&str; 2] = ["first", "second"];

/// Rotates a queue's tables, and waits until that has happened.
pub(super) fn rotate(client: &mut Client, queue: &str) {
    let table = "select queue_cur_table from pgq.queue where queue_name = $1";
    let current = |client: &mut Client| -> i32 { client.query_one(table, &[&queue]).expect("there").get(0) };
    let before = current(client);
    wait_for("the rotation", || {
        client.execute("select pgq.maint_rotate_tables_step1($1)", &[&queue]).expect("step 1");
        current(client) != before
    });
    client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
}

/// Inserts events in transactions of many kinds until it is time to end; returns what was committed.
fn produce(server: &Server, producer: usize, next: &AtomicI64, until: Instant) -> BTreeSet<i64> {
    let mut client = server.client(DATABASE);
    let mut committed = BTreeSet::new();
    let mut turn = producer;
    while Instant::now() < until {
        turn += 1;
        match transaction(&mut client, turn, next) {
            Ok(inserted) => {
                if end(&mut client, turn, &format!("p{producer}_{turn}")) {
                    committed.extend(inserted);
                }
            }
            // What a snapshot that is older than a rotation gets.
            Err(error) => {
                assert_eq!(error.code().map(SqlState::code), Some("40001"), "{error:?}");
                client.batch_execute("rollback").expect("rolled back");
            }
        }
    }
    committed
}

/// Begins a transaction and inserts: at once or late, with savepoints, by function and directly.
fn transaction(client: &mut Client, turn: usize, next: &AtomicI64) -> Result<Vec<i64>, postgres::Error> {
    let number = || next.fetch_add(1, Ordering::Relaxed);
    let insert = |client: &mut Client, inserted: &mut Vec<i64>| {
        let data = number();
        client.execute("select pgq.insert_event('q', 'type', $1::int8::text)", &[&data])?;
        inserted.push(data);
        Ok::<(), postgres::Error>(())
    };
    let isolation = if turn.is_multiple_of(7) { "repeatable read" } else { "read committed" };
    client.batch_execute(&format!("begin isolation level {isolation}; select 1"))?;
    pause(turn, 5, 60);
    let mut inserted = Vec::new();
    insert(client, &mut inserted)?;
    client.batch_execute("savepoint s")?;
    let before = inserted.len();
    insert(client, &mut inserted)?;
    if turn.is_multiple_of(3) {
        client.batch_execute("rollback to s")?;
        inserted.truncate(before);
        insert(client, &mut inserted)?;
    }
    pause(turn, 6, 200);
    if turn.is_multiple_of(4) {
        let table: String = client.query_one("select pgq.current_event_table('q')", &[])?.get(0);
        pause(turn, 16, 400);
        let data = number();
        client.batch_execute(&format!("insert into {table} (ev_time, ev_data) values (now(), '{data}')"))?;
        inserted.push(data);
    }
    Ok(inserted)
}

/// Ends a transaction in one of many ways; returns whether it is committed.
fn end(client: &mut Client, turn: usize, name: &str) -> bool {
    let mut run = |statement: &str| client.batch_execute(statement).expect("the transaction ends");
    match turn % 8 {
        0 => run("rollback"),
        1 => {
            run(&format!("prepare transaction '{name}'"));
            pause(turn, 1, 90);
            let rolled_back = turn % 16 == 1;
            run(&format!("{} prepared '{name}'", if rolled_back { "rollback" } else { "commit" }));
            return !rolled_back;
        }
        _ => run("commit"),
    }
    !turn.is_multiple_of(8)
}

/// Holds a transaction open at every `nth` turn, for up to `limit` milliseconds.
fn pause(turn: usize, nth: usize, limit: u64) {
    if turn.is_multiple_of(nth) {
        thread::sleep(Duration::from_millis(turn as u64 * 37 % limit));
    }
}

/// Reads batches until told that nothing comes any more and nothing is left.
fn consume(server: &Server, consumer: &str, done: &AtomicBool) -> Vec<i64> {
    let mut client = server.client(DATABASE);
    let mut seen = Vec::new();
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let batch: Option<i64> =
            client.query_one("select pgq.next_batch('q', $1)", &[&consumer]).expect("answers").get(0);
        let Some(batch) = batch else {
            if last_round {
                return seen;
            }
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let rows = client
            .query("select ev_id, ev_data::int8, ev_retry from pgq.get_batch_events($1)", &[&batch])
            .expect("readable");
        for row in rows {
            let (id, data, retried): (i64, i64, Option<i32>) = (row.get(0), row.get(1), row.get(2));
            // Every fiftieth event goes round once more.
            if data % 50 == 0 && retried.is_none() {
                client.execute("select pgq.event_retry($1, $2, 0)", &[&batch, &id]).expect("put aside");
            } else {
                seen.push(data);
            }
        }
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    }
}

/// Ticks, rotates and returns events, from two sessions at once.
fn maintain(server: &Server, done: &AtomicBool) {
    let mut client = server.client(DATABASE);
    while !done.load(Ordering::SeqCst) {
        for statement in [
            "select pgq.ticker()",
            "select pgq.maint_retry_events()",
            "select pgq.maint_rotate_tables_step1('q')",
            "select pgq.maint_rotate_tables_step2()",
        ] {
            client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn every_committed_event_comes_once_to_each_consumer() {
    let server = Server::builder().setting("max_prepared_transactions", "20").start().expect("a server");
    server.create_database(DATABASE);
    let mut client = server.client(DATABASE);
    queues::install_as(&mut client, Kind::Own);
    client
        .batch_execute(
            "select pgq.create_queue('q'); \
             update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0'; \
             select pgq.register_consumer('q', 'first'), pgq.register_consumer('q', 'second')",
        )
        .expect("created");
    let (next, until, done) = (AtomicI64::new(1), Instant::now() + RUN, AtomicBool::new(false));
    let before: i64 = switch(&mut client);
    let (committed, seen) = thread::scope(|scope| {
        let _stop = Stop(&done);
        let (server, next, done) = (&server, &next, &done);
        let consumers = CONSUMERS.map(|name| scope.spawn(move || consume(server, name, done)));
        let maintenance = [(); 2].map(|()| scope.spawn(move || maintain(server, done)));
        let producers: Vec<_> =
            (0..6).map(|producer| scope.spawn(move || produce(server, producer, next, until))).collect();
        let mut committed = BTreeSet::new();
        for producer in producers {
            committed.extend(producer.join().expect("a producer"));
        }
        let mut client = server.client(DATABASE);
        wait_for("the last events to come back and be read", || {
            let left = "select (select count(*) from pgq.retry_queue) + (select coalesce(sum(pending_events), 0)::int8 from pgq.get_consumer_info())";
            client.query_one(left, &[]).expect("readable").get::<_, i64>(0) == 0
        });
        for _ in 0..3 {
            let tick = "select pgq.force_tick('q') ";
            let last: i64 = client.query_one(tick, &[]).expect("a tick").get(0);
            wait_for("one more tick", || {
                client.query_one("select max(tick_id) from pgq.tick", &[]).expect("a tick").get::<_, i64>(0)
                    > last
            });
        }
        done.store(true, Ordering::SeqCst);
        for thread in maintenance {
            thread.join().expect("maintenance");
        }
        (committed, consumers.map(|consumer| consumer.join().expect("a consumer")))
    });
    assert!(committed.len() > 200, "{}", committed.len());
    assert!(switch(&mut client) > before, "the tables rotated");
    for (consumer, seen) in CONSUMERS.iter().zip(seen) {
        let distinct: BTreeSet<i64> = seen.iter().copied().collect();
        assert_eq!(seen.len(), distinct.len(), "{consumer}: events came twice");
        let lost: Vec<_> = committed.difference(&distinct).collect();
        let invented: Vec<_> = distinct.difference(&committed).collect();
        assert!(lost.is_empty() && invented.is_empty(), "{consumer}: lost {lost:?}, invented {invented:?}");
    }
}

/// Ends the other threads when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn switch(client: &mut Client) -> i64 {
    client.query_one("select queue_switch_step1 from pgq.queue", &[]).expect("there").get(0)
}

#[test]
fn two_sessions_that_open_a_batch_at_once_get_the_same() {
    let database = Database::create("own");
    let mut client = database.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    client.batch_execute("select pgq.register_consumer('q', 'c')").expect("registered");
    for _ in 0..20 {
        queues::tick(&mut client, "q");
        let open = || -> i64 {
            let mut client = database.client();
            client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("opened").get(0)
        };
        client.batch_execute("begin; select 1 from pgq.subscription for update").expect("locked");
        let batches = thread::scope(|scope| {
            let threads = [scope.spawn(open), scope.spawn(open)];
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            let mut watcher = database.client();
            wait_for("both to wait", || {
                watcher.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 2
            });
            client.batch_execute("commit").expect("released");
            threads.map(|thread| thread.join().expect("a batch"))
        });
        assert_eq!(batches[0], batches[1]);
        let finished = "select pgq.finish_batch($1)";
        assert_eq!(client.query_one(finished, &[&batches[0]]).expect("finished").get::<_, i32>(0), 1);
    }
}

#[test]
fn a_consumer_that_registers_while_the_tables_rotate_keeps_its_tick() {
    let database = Database::create("own");
    let mut client = database.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    client.batch_execute("update pgq.queue set queue_rotation_period = '0'").expect("set");
    let mut registering = database.client();
    registering.batch_execute("begin; select pgq.register_consumer('q', 'c')").expect("registered");
    thread::scope(|scope| {
        let rotation =
            scope.spawn(|| database.client().batch_execute("select pgq.maint_rotate_tables_step1('q')"));
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        wait_for("the rotation to wait", || {
            client.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 1
        });
        registering.batch_execute("commit").expect("committed");
        rotation.join().expect("no panic").expect("rotated or not");
    });
    queues::tick(&mut client, "q");
    client.batch_execute("select pgq.finish_batch(pgq.next_batch('q', 'c'))").expect("its tick is there");
}
