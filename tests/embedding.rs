//! A script on a thread of a host program, which keeps its own logger, signals and files.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dbscript::{BoxError, Context, Round, Script, Stat, Worker};

use crate::support::{Database, wait_for};

const SHORT: Duration = Duration::from_millis(10);

/// Runs a statement and counts its rounds.
struct Sql(&'static str, Arc<AtomicU64>);

impl Script for Sql {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let count = cx.database("db")?.execute_typed(self.0, &[])?;
        cx.stats().add("count", count);
        Ok(Round::Idle)
    }
}

fn sql(statement: &'static str) -> (Sql, Arc<AtomicU64>) {
    let rounds = Arc::new(AtomicU64::new(0));
    (Sql(statement, rounds.clone()), rounds)
}

fn worker(database: &Database) -> Worker {
    Worker::new("embedded").database("db", &database.conninfo()).loop_delay(SHORT).exception_sleep(SHORT)
}

#[test]
fn the_host_reads_the_counters_and_stops_the_worker() {
    let database = Database::create("embedded");
    let (script, _) = sql("select generate_series(1, 3)");
    let worker = worker(&database).spawn(script).expect("up");
    wait_for("five rounds", || worker.totals().rounds >= 5);
    worker.stop();
    wait_for("the end", || worker.is_finished());
    let totals = worker.totals();
    assert_eq!(totals.failed, 0);
    assert!(totals.last_round.is_some());
    assert_eq!(totals.stats.get("count"), Some(Stat::Count(3 * totals.rounds)));
    worker.join().expect("stopped");
}

#[test]
fn failed_rounds_are_counted_and_do_not_end_the_worker() {
    let database = Database::create("embedded");
    let (script, rounds) = sql("select 1/0");
    let worker = worker(&database).spawn(script).expect("up");
    wait_for("three failed rounds", || worker.totals().failed >= 3);
    assert_eq!(worker.totals().rounds, 0);
    assert!(!worker.is_finished());
    drop(worker);
    let after = rounds.load(Ordering::Relaxed);
    assert!(after >= 3, "dropping waits for the end");
}

#[test]
fn an_abort_cancels_the_statement() {
    let database = Database::create("embedded");
    let (script, rounds) = sql("select pg_sleep(3600)");
    let worker = worker(&database).spawn(script).expect("up");
    let mut client = database.client();
    wait_for("the statement", || {
        let sql = "select count(*) from pg_stat_activity where application_name = 'embedded' \
                   and datname = current_database() and state = 'active'";
        client.query_one(sql, &[]).expect("readable").get::<_, i64>(0) == 1
    });
    wait_for("the end", || worker.abort());
    worker.join().expect("ended");
    assert_eq!(rounds.load(Ordering::Relaxed), 1);
}

#[test]
fn a_startup_that_hangs_can_be_stopped() {
    struct Connect;
    impl Script for Connect {
        fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
            cx.database("db").map(drop).map_err(Into::into)
        }
        fn work(&mut self, _: &mut Context) -> Result<Round, BoxError> {
            Ok(Round::Idle)
        }
    }
    // A server that takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("bound").port();
    let worker = Worker::new("hanging").database("db", &format!("host=127.0.0.1 port={port} user=x"));
    let control = worker.control();
    let starting = thread::spawn(move || worker.spawn(Connect));
    let _accepted = silent.accept().expect("it connects");
    wait_for("the end", || control.abort());
    let error = starting.join().expect("no panic").expect_err("stopped");
    assert_eq!(error.to_string(), "the worker ended before it was up");
}

#[test]
fn waking_ends_the_sleep() {
    let database = Database::create("embedded");
    let (script, rounds) = sql("select 1");
    let worker = worker(&database).loop_delay(Duration::from_secs(3600)).spawn(script).expect("up");
    for round in 1..4 {
        wait_for("a round", || rounds.load(Ordering::Relaxed) == round);
        worker.wake();
    }
}

#[test]
fn several_workers_run_side_by_side_and_touch_nothing_global() {
    let signals = signals_caught();
    let databases = [Database::create("embedded"), Database::create("embedded")];
    let workers = databases.each_ref().map(|database| {
        let (script, _) = sql("select 1");
        worker(database).spawn(script).expect("up")
    });
    wait_for("rounds of both", || workers.iter().all(|worker| worker.totals().rounds > 2));
    assert_eq!(signals_caught(), signals, "signal handlers were installed");
    assert_eq!(log::max_level(), log::LevelFilter::Off, "a logger was installed");
    for worker in workers {
        worker.stop();
        worker.join().expect("stopped");
    }
}

/// Returns which signals this process handles.
fn signals_caught() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process runs");
    status.lines().find(|line| line.starts_with("SigCgt:")).expect("every process has it").to_owned()
}

#[test]
fn a_failed_start_is_returned() {
    struct Broken;
    impl Script for Broken {
        fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
            cx.database("nowhere").map(|_| ()).map_err(Into::into)
        }
        fn work(&mut self, _cx: &mut Context) -> Result<Round, BoxError> {
            Ok(Round::Idle)
        }
    }
    let error = Worker::new("broken").spawn(Broken).expect_err("nothing is set");
    assert_eq!(dbscript::describe(&*error), "no connection string is set for `nowhere`");
}

#[test]
fn an_invalid_connection_string_is_reported_at_once() {
    let (script, rounds) = sql("select 1");
    let error =
        Worker::new("broken").database("db", "dbnam=nope").spawn(script).expect_err("unknown keyword");
    assert!(dbscript::describe(&*error).contains("db: invalid connection string"), "{error}");
    assert_eq!(rounds.load(Ordering::Relaxed), 0);
}
