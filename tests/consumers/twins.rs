//! Two processes under one name: never both at one batch.

mod programs;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use pgq::consume::Twin;
use pgq::{Worker, WorkerHandle};

use super::*;
use crate::support::pgbouncer::PgBouncer;
use crate::support::wait_for;

/// The events that both processes have handled.
#[derive(Default)]
struct Diary {
    at_work: AtomicBool,
    beside: AtomicUsize,
    /// The events, by process.
    seen: Mutex<Vec<(char, i64)>>,
}

impl Diary {
    fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn by(&self, who: char) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|seen| seen.0 == who).count()
    }
}

struct Writer(char, Arc<Diary>);

impl Consumer for Writer {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        if self.1.at_work.swap(true, Ordering::SeqCst) {
            self.1.beside.fetch_add(1, Ordering::SeqCst);
        }
        while let Some(event) = batch.next_event()? {
            self.1.seen.lock().unwrap_or_else(PoisonError::into_inner).push((self.0, number(&event)));
        }
        self.1.at_work.store(false, Ordering::SeqCst);
        Ok(())
    }
}

fn start(conninfo: &str, who: char, diary: &Arc<Diary>, settings: Settings) -> WorkerHandle {
    let worker = Worker::with_settings(conninfo, settings).loop_delay(SHORT).exception_sleep(SHORT);
    worker.spawn(Writer(who, diary.clone())).expect("up")
}

fn twins(autocommit: bool, twin: Twin) -> Settings {
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.autocommit = autocommit;
    settings.twin = twin;
    settings.merge_events = 0;
    settings
}

fn play(database: &Database, conninfo: &str, autocommit: bool) {
    let mut client = database.client();
    let diary = Arc::new(Diary::default());
    let first = start(conninfo, 'a', &diary, twins(autocommit, Twin::Wait));
    fill(&mut client, 10);
    wait_for("the first batch", || diary.by('a') == 10);
    let second = start(conninfo, 'b', &diary, twins(autocommit, Twin::Wait));
    for _ in 0..20 {
        fill(&mut client, 10);
    }
    wait_for("all batches", || diary.count() >= 210);
    if autocommit {
        assert_eq!(diary.by('b'), 0, "it stands by");
    }
    assert_eq!((first.totals().failed, second.totals().failed), (0, 0));
    first.stop();
    first.join().expect("stopped");
    let before = diary.by('b');
    fill(&mut client, 10);
    wait_for("the second one to take over", || diary.by('b') == before + 10);
    drop(second);
    assert_eq!((diary.count(), diary.beside.load(Ordering::SeqCst)), (220, 0));
}

#[test]
fn workers_of_one_name_never_process_one_batch_together() {
    for pgq in Pgq::WHOLE {
        for autocommit in [false, true] {
            let (database, _client) = pgq.database();
            play(&database, &database.conninfo(), autocommit);
        }
    }
}

#[test]
fn nor_are_they_behind_a_pooler() {
    let (database, _client) = Pgq::Own.database();
    let bouncer = PgBouncer::start(database.server(), 5);
    for autocommit in [false, true] {
        play(&database, &bouncer.conninfo(database.name()), autocommit);
    }
}

#[test]
fn a_lock_that_is_lost_is_taken_again() {
    let (database, mut client) = Pgq::Own.database();
    let diary = Arc::new(Diary::default());
    let worker = start(&database.conninfo(), 'a', &diary, twins(true, Twin::Wait));
    fill(&mut client, 10);
    wait_for("the batch", || diary.count() == 10);
    let holder = "select pid from pg_locks where locktype = 'advisory' \
                  and database = (select oid from pg_database where datname = current_database())";
    let pid =
        |client: &mut Client| client.query_opt(holder, &[]).expect("one").map(|row| row.get::<_, i32>(0));
    let old = pid(&mut client).expect("the lock is held");
    client.execute("select pg_terminate_backend($1)", &[&old]).expect("ended");
    wait_for("another lock", || pid(&mut client).is_some_and(|new| new != old));
    fill(&mut client, 10);
    wait_for("the batch", || diary.count() == 20);
    drop(worker);
    wait_for("the lock to go", || pid(&mut client).is_none());
}

/// Takes the consumer's lock in a transaction.
fn take_lock<'a>(client: &'a mut Client) -> postgres::Transaction<'a> {
    let mut hold = client.transaction().expect("begin");
    let lock =
        "select pg_advisory_xact_lock(hashtextextended(format('pgq %L %L', $1::text, $2::text), 0))::text";
    hold.query_one(lock, &[&QUEUE, &CONSUMER]).expect("locked");
    hold
}

#[test]
fn a_standby_keeps_its_connection() {
    let (database, mut client) = Pgq::Own.database();
    subscribe(&mut client, |_| ());
    let mut holder = database.client();
    let hold = take_lock(&mut holder);
    let diary = Arc::new(Diary::default());
    let worker = start(&database.conninfo(), 'b', &diary, twins(true, Twin::Wait));
    let rested = "select pid, state_change::text from pg_stat_activity \
                  where application_name = $1 and datname = current_database() and query = 'rollback'";
    let mut seen = None;
    wait_for("it to stand by", || {
        seen = client.query_opt(rested, &[&CONSUMER]).expect("readable");
        seen.is_some()
    });
    let seen = seen.expect("just seen");
    let (pid, then): (i32, String) = (seen.get(0), seen.get(1));
    let again =
        "select exists (select from pg_stat_activity where pid = $1 and xact_start > $2::text::timestamptz)";
    wait_for("the same connection again", || {
        client.query_one(again, &[&pid, &then]).expect("readable").get(0)
    });
    hold.rollback().expect("released");
    fill(&mut client, 10);
    wait_for("the batch", || diary.by('b') == 10);
    assert_eq!(worker.totals().failed, 0);
}

#[test]
fn a_program_that_must_end_and_cannot_work_reports_it() {
    for autocommit in [false, true] {
        let (database, mut client) = Pgq::Own.database();
        subscribe(&mut client, |_| ());
        fill(&mut client, 10);
        let mut holder = database.client();
        let hold = take_lock(&mut holder);
        let diary = Arc::new(Diary::default());
        let worker = || Worker::with_settings(&database.conninfo(), twins(autocommit, Twin::Wait));
        for error in [
            worker().drain(Writer('a', diary.clone())).expect_err("another one has the lock"),
            worker().run_once(Writer('a', diary.clone())).expect_err("another one has the lock"),
        ] {
            assert!(error.kind() == pgq::ErrorKind::Busy, "{error:?}");
        }
        hold.rollback().expect("released");
        worker().drain(Writer('a', diary.clone())).expect("free");
        fill(&mut client, 10);
        worker().run_once(Writer('a', diary.clone())).expect("free");
        assert_eq!(diary.count(), 20);
    }
}

/// Keeps its first event until the test releases it, and retries all.
struct Slow(Option<Receiver<()>>, Sender<()>);

impl Consumer for Slow {
    fn process_event(&mut self, _event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        if let Some(gate) = self.0.take() {
            self.1.send(())?;
            gate.recv()?;
        }
        Ok(Outcome::Retry(Duration::ZERO))
    }
}

#[test]
fn a_consumer_that_loses_lock_and_batch_writes_nothing() {
    for pgq in Pgq::ALL {
        let (database, mut client) = pgq.database();
        let ((open, gate), (out, began)) = (channel(), channel());
        let worker = Worker::with_settings(&database.conninfo(), twins(true, Twin::Wait));
        let first = worker.loop_delay(SHORT).exception_sleep(SHORT).spawn(Slow(Some(gate), out)).expect("up");
        let tick = fill(&mut client, 10);
        began.recv_timeout(Duration::from_secs(60)).expect("the batch begins");
        let diary = Arc::new(Diary::default());
        let second = start(&database.conninfo(), 'b', &diary, twins(true, Twin::Wait));
        let kill = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' \
                    and database = (select oid from pg_database where datname = current_database())";
        client.execute(kill, &[]).expect("ended");
        wait_for("the second one", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        open.send(()).expect("it waits");
        wait_for("the first one to fail", || first.totals().failed > 0);
        assert_eq!((diary.by('b'), return_retries(&mut client)), (10, 0), "{pgq:?}");
        drop((first, second));
    }
}

#[test]
fn a_worker_may_end_when_there_is_another_one() {
    for autocommit in [false, true] {
        let (database, mut client) = Pgq::Own.database();
        let diary = Arc::new(Diary::default());
        let first = start(&database.conninfo(), 'a', &diary, twins(autocommit, Twin::Stop));
        fill(&mut client, 10);
        wait_for("the batch", || diary.count() == 10);
        let second = start(&database.conninfo(), 'b', &diary, twins(autocommit, Twin::Stop));
        wait_for("the second one to end", || second.is_finished());
        let error = second.join().expect_err("there is another one");
        assert!(
            dbscript::describe(&error).contains("another process is consuming as `consumer`"),
            "{error:?}"
        );
        fill(&mut client, 10);
        wait_for("the next batch", || diary.by('a') == 20);
        assert!(!first.is_finished());
    }
}
