//! Kills, full disks, and a second process.

use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::Signal;

use super::*;
use crate::support::programs::Running;
use crate::support::wait_for;

/// Holds the program within a batch whose events it cannot read yet.
fn hold_amid_a_batch<'a>(client: &mut Client, holder: &'a mut Client) -> postgres::Transaction<'a> {
    queues::insert(client, QUEUE, 0, 10);
    let mut hold = holder.transaction().expect("begin");
    hold.batch_execute("lock table pgq.event_1_0 in access exclusive mode").expect("locked");
    hold
}

fn wait_blocked(client: &mut Client) {
    let waiting = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                   and application_name = $1 and wait_event_type = 'Lock'";
    wait_for("the program to wait", || client.query_one(waiting, &[&CONSUMER]).expect("readable").get(0));
}

#[test]
fn a_kill_between_the_file_and_the_queue_doubles_nothing() {
    for pgq in Pgq::ALL {
        let (local, mut client) = Local::create(pgq);
        local.drain();
        let (mut holder, mut other) = (local.database.client(), local.database.client());
        let hold = hold_amid_a_batch(&mut client, &mut holder);
        let tick = queues::tick(&mut client, QUEUE);
        let mut program = Running::start(&mut local.command(&[]));
        wait_blocked(&mut client);
        let mut finish = other.transaction().expect("begin");
        finish.batch_execute("lock table pgq.subscription in exclusive mode").expect("locked");
        hold.rollback().expect("released");
        wait_for("the file", || local.tick() == Some(tick));
        wait_blocked(&mut client);
        program.signal(Signal::SIGKILL);
        program.wait();
        finish.rollback().expect("released");
        let said = local.drain();
        assert!(said.contains("the file is newer than the queue"), "{said}");
        assert_eq!(local.names(), names(0, 10), "{pgq:?}");
        let last = ten(&mut client, 10);
        local.drain();
        assert_eq!((local.names(), local.tick()), (names(0, 20), Some(last)));
    }
}

/// Puts the numbers of events into a list.
struct Listed(std::sync::Arc<std::sync::Mutex<Vec<i64>>>);

impl LocalHandler for Listed {
    fn process_local_event(&mut self, event: &Event) -> Result<(), BoxError> {
        self.0.lock().map_err(|_| "a test has failed")?.push(number(event));
        Ok(())
    }
}

#[test]
fn a_restored_queue_skips_no_events_without_an_error() {
    for pgq in Pgq::ALL {
        let (database, mut client) = pgq.database();
        pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tick");
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let consumer = LocalConsumer::new(&file, Listed(seen.clone()));
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.merge_events = 0;
        let worker = pgq::Worker::with_settings(&database.conninfo(), settings);
        let worker = worker.loop_delay(SHORT).exception_sleep(SHORT).spawn(consumer).expect("up");
        let ticks = [0, 10, 20].map(|from| {
            let tick = ten(&mut client, from);
            wait_for("a batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
            tick
        });
        // So a standby that lags sees it.
        pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, ticks[0]).expect("moved back");
        wait_for("rounds that fail", || worker.totals().failed > 2);
        let (tick, batch) = queues::position(&mut client, QUEUE, CONSUMER);
        assert_eq!((tick, batch.is_some()), (ticks[0], true), "{pgq:?}");
        assert_eq!(fs::read_to_string(&file).expect("there"), ticks[2].to_string());
        drop(worker);
        assert_eq!(*seen.lock().expect("no failure"), (0..30).collect::<Vec<i64>>());
    }
}

#[test]
fn a_kill_before_the_file_loses_nothing() {
    let (local, mut client) = Local::create(Pgq::Own);
    local.drain();
    let mut holder = local.database.client();
    let hold = hold_amid_a_batch(&mut client, &mut holder);
    queues::tick(&mut client, QUEUE);
    let mut program = Running::start(&mut local.command(&[]));
    wait_blocked(&mut client);
    program.signal(Signal::SIGKILL);
    program.wait();
    hold.rollback().expect("released");
    local.drain();
    assert_eq!(local.names(), names(0, 10));
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let (local, mut client) = Local::create(Pgq::Own);
    local.drain();
    let first = ten(&mut client, 0);
    local.drain();
    symlink("/dev/full", local.path("consumer.tick.new")).expect("writable");
    let second = ten(&mut client, 10);
    let output = local.fail();
    let line = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("cannot write file") && line.contains("No space left"), "{line}");
    assert_eq!(local.tick(), Some(first));
    assert!(queues::position(&mut client, QUEUE, CONSUMER).1.is_some(), "the batch stays open");
    fs::remove_file(local.path("consumer.tick.new")).expect("there");
    // A folder that cannot be written to fails alike.
    fs::create_dir(local.path("consumer.tick.new")).expect("writable");
    assert!(errors(&local.fail()).contains("cannot write file"));
    fs::remove_dir(local.path("consumer.tick.new")).expect("there");
    local.drain();
    assert_eq!(local.tick(), Some(second));
    let mut seen = local.names();
    seen.dedup();
    seen.truncate(20);
    assert_eq!(seen, names(0, 20));
}

#[test]
fn a_second_process_with_a_file_of_its_own_stands_by() {
    let (local, mut client) = Local::create(Pgq::Own);
    pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
    let other = tempfile::tempdir().expect("a temporary folder");
    fs::copy(local.path("x.ini"), other.path().join("x.ini")).expect("writable");
    local.drain();
    let start = local.tick().or(Some(queues::position(&mut client, QUEUE, CONSUMER).0)).expect("a tick");
    fs::write(other.path().join("consumer.tick"), start.to_string()).expect("writable");
    ten(&mut client, 0);
    local.drain();
    let mut first = Running::start(&mut local.command(&["-v", "--set", "logfile=log"]));
    let log = |folder: &Path| fs::read_to_string(folder.join("log")).unwrap_or_default();
    let tick = ten(&mut client, 10);
    wait_for("the first one", || local.tick() == Some(tick));
    let mut command = command_on(local.database.server(), "name_file", other.path());
    command.env("HOME", other.path()).args(["x.ini", "--set", "logfile=log"]);
    let _second = Running::start(&mut command);
    wait_for("the second one to stand by", || log(other.path()).contains("standing by"));
    let tick = ten(&mut client, 20);
    wait_for("the first one", || local.tick() == Some(tick));
    assert!(!log(local.folder.path()).contains("WARNING"), "{}", log(local.folder.path()));
    first.kill();
    let there = || fs::read_to_string(other.path().join("names")).unwrap_or_default().lines().count();
    wait_for("the second one to make its file complete", || there() == 30);
    assert_eq!(local.names(), names(0, 30));
}
