//! The position in a local file.

mod disasters;
mod python;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use dbscript::{Context, Control, Databases};
use pgq::{Delivery, LocalConsumer, LocalHandler};
use tempfile::TempDir;

use super::*;
use crate::support::programs::{command_on, errors, succeed};

/// A `name_file`, its file, and its consumer.
struct Local {
    database: Database,
    folder: TempDir,
}

impl Local {
    fn create(pgq: Pgq) -> (Local, Client) {
        let (database, client) = pgq.database();
        let local = Local { database, folder: tempfile::tempdir().expect("a temporary folder") };
        local.write_ini("");
        (local, client)
    }

    fn write_ini(&self, more: &str) {
        let ini = format!(
            "[name_file]\njob_name = {CONSUMER}\ndb = {}\nqueue_name = {QUEUE}\nloop_delay = 0.02\n\
             exception_sleep = 0.02\nlocal_tracking_file = ~/%(job_name)s.tick\nname_file = names\n{more}",
            self.database.conninfo()
        );
        fs::write(self.path("x.ini"), ini).expect("writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, switches: &[&str]) -> Command {
        let mut command = command_on(self.database.server(), "name_file", self.folder.path());
        command.env("HOME", self.folder.path()).arg("x.ini").args(switches);
        command
    }

    /// Handles all that is there.
    fn drain(&self) -> String {
        errors(&succeed(&mut self.command(&["--set", "loop_delay=0"])))
    }

    fn fail(&self) -> Output {
        self.command(&["--set", "loop_delay=0"]).output().expect("starts")
    }

    fn tick(&self) -> Option<i64> {
        let text = fs::read_to_string(self.path("consumer.tick")).ok()?;
        Some(text.parse().expect("a plain number"))
    }

    fn set_tick(&self, text: &str) {
        fs::write(self.path("consumer.tick"), text).expect("writable");
    }

    /// Returns the names in the file.
    fn names(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("names")).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').expect("an id and a name").1.to_owned()).collect()
    }
}

fn names(from: i64, to: i64) -> Vec<String> {
    (from..to).map(|n| format!("event {n}")).collect()
}

/// Inserts ten events and ticks.
fn ten(client: &mut Client, from: i64) -> i64 {
    queues::insert(client, QUEUE, from, 10);
    queues::tick(client, QUEUE)
}

#[test]
fn the_file_follows_the_queue() {
    for pgq in Pgq::ALL {
        for mode in ["", "pgq_autocommit = 1\n", "pgq_twin = stop\n"] {
            let (local, mut client) = Local::create(pgq);
            local.write_ini(mode);
            assert!(local.drain().contains("registered as a new consumer"));
            for round in 0..3 {
                let tick = ten(&mut client, round * 10);
                let said = local.drain();
                assert!(!said.contains("WARNING"), "{said}");
                assert_eq!(local.tick(), Some(tick), "{pgq:?} {mode}");
                assert_eq!(queues::position(&mut client, QUEUE, CONSUMER), (tick, None));
            }
            assert_eq!(local.names(), names(0, 30));
        }
    }
}

#[test]
fn a_lost_file_is_written_with_the_queues_tick() {
    let (local, mut client) = Local::create(Pgq::Own);
    local.drain();
    let tick = ten(&mut client, 0);
    local.drain();
    for lost in [None, Some(""), Some("-1")] {
        match lost {
            None => fs::remove_file(local.path("consumer.tick")).expect("there"),
            Some(text) => local.set_tick(text),
        }
        let said = local.drain();
        assert!(said.contains(&format!("the file has no tick, writing the queue's: {tick}")), "{said}");
        assert_eq!(local.tick(), Some(tick));
    }
    assert_eq!(local.names(), names(0, 10));
}

#[test]
fn the_file_is_right_when_it_is_older_or_newer_than_the_queue() {
    for pgq in Pgq::ALL {
        let (local, mut client) = Local::create(pgq);
        // Keeps the ticks on the queue.
        pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
        local.drain();
        let first = ten(&mut client, 0);
        local.drain();
        let second = ten(&mut client, 10);
        local.drain();
        local.set_tick(&format!("{first}\n"));
        let said = local.drain();
        let moved = format!(
            "WARNING the file is older than the queue: moving the consumer from tick {second} to tick {first}"
        );
        assert!(said.contains(&moved), "{said}");
        assert_eq!(local.names(), [names(0, 20), names(10, 20)].concat());

        pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, first).expect("moved back");
        let said = local.drain();
        assert!(said.contains("WARNING the file is newer than the queue"), "{said}");
        assert_eq!(local.names().len(), 30, "{pgq:?}");
        assert_eq!(queues::position(&mut client, QUEUE, CONSUMER), (second, None));
    }
}

#[test]
fn a_consumer_that_is_not_registered_begins_where_the_file_is() {
    let (local, mut client) = Local::create(Pgq::Own);
    pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
    let first = ten(&mut client, 0);
    ten(&mut client, 10);
    local.set_tick(&first.to_string());
    let said = local.drain();
    assert!(said.contains(&format!("going on at the file's tick: {first}")), "{said}");
    assert_eq!(local.names(), names(10, 20));
}

#[test]
fn a_tick_that_the_queue_does_not_have_is_an_error_and_reset_repairs_it() {
    for registered in [true, false] {
        let (local, mut client) = Local::create(Pgq::Own);
        if registered {
            local.drain();
        }
        local.set_tick("4711");
        let output = local.fail();
        let line = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains("has come to tick 4711, which is not on the queue; --reset"), "{line}");
        assert_eq!(local.tick(), Some(4711));
        assert!(errors(&succeed(&mut local.command(&["--reset"]))).contains("forgot the file's tick"));
        local.drain();
        ten(&mut client, 0);
        local.drain();
        assert_eq!(local.names(), names(0, 10));
    }
}

#[test]
fn an_invalid_position_is_refused() {
    let (local, _client) = Local::create(Pgq::Own);
    local.set_tick("twelve");
    let output = local.fail();
    let line = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("consumer.tick` holds no tick: `twelve`"), "{line}");
    for (more, what) in [
        ("--set=local_tracking_file=/no/such/folder/x", "folder `/no/such/folder` does not exist"),
        ("--set=local_tracking_file=", "local_tracking_file"),
        ("--set=subconsumer_name=a", "subconsumers"),
        ("--set=subconsumer_name=a --register", "subconsumers"),
        ("--set=subconsumer_name=a --unregister", "subconsumers"),
        ("--set=subconsumer_name=a --rewind", "subconsumers"),
        ("--set=pgq_retry_delay=5", "pgq_retry_delay"),
        ("--set=pgq_max_retries=5", "pgq_max_retries"),
    ] {
        let more: Vec<&str> = more.split(' ').collect();
        let output = local.command(&more).output().expect("starts");
        let line = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {line}");
        assert!(line.contains(what) && line.lines().count() == 1, "{line}");
    }
}

#[test]
fn switches_move_queue_and_file() {
    let (local, mut client) = Local::create(Pgq::Extension);
    let say = |switch: &str| errors(&succeed(&mut local.command(&[switch])));
    local.set_tick("99");
    let output = local.command(&["--register"]).output().expect("starts");
    let line = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("has come to tick 99, which is not on the queue; --reset"), "{line}");
    assert_eq!(local.tick(), Some(99));
    assert!(say("--reset").contains("forgot"));
    assert!(say("--register").contains("registered"));
    assert_eq!(local.tick(), None);
    assert!(say("--rewind").contains("WARNING the file has no tick"));
    pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
    let first = ten(&mut client, 0);
    local.drain();
    let second = ten(&mut client, 10);
    local.drain();
    local.set_tick(&first.to_string());
    assert!(say("--rewind").contains(&format!("rewound to tick {first}")));
    assert_eq!(queues::position(&mut client, QUEUE, CONSUMER), (first, None));
    local.drain();
    assert_eq!(local.tick(), Some(second));
    assert!(say("--register").contains("already registered"));
    assert_eq!(local.tick(), Some(second), "it stays");
    assert!(say("--unregister").contains("unregistered"));
    assert_eq!(local.tick(), None);
    assert!(say("--reset").contains("there is no file"));
    local.set_tick(&first.to_string());
    assert!(say("--register").contains(&format!("registered at the file's tick, {first}")));
    assert_eq!(queues::position(&mut client, QUEUE, CONSUMER), (first, None));
    assert_eq!(local.tick(), Some(first));
}

/// Counts the batches that it is given.
struct Count(usize);

impl LocalHandler for &mut Count {
    fn process_local_event(&mut self, _event: &Event) -> Result<(), BoxError> {
        self.0 += 1;
        Ok(())
    }
}

#[test]
fn each_batch_is_compared_with_the_file() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("tick");
    let control = Control::default();
    let mut cx = Context::new(Databases::new("test", control.clone()), control);
    let mut count = Count(0);
    let mut consumer = LocalConsumer::new(&file, &mut count);
    fill(&mut client, 3);

    let batch = open(&mut client, &subscription);
    let info = batch.info().clone();
    fs::write(&file, "77").expect("writable");
    let error = consumer.deliver(&mut cx, batch).expect_err("lost");
    let text = dbscript::describe(&*error);
    let numbers =
        format!("batch {} is ticks {}..{}, the file is at tick 77", info.id, info.prev_tick, info.tick);
    assert!(text.contains(&numbers) && text.contains("--rewind") && text.contains("--reset"), "{text}");

    fs::write(&file, info.tick.to_string()).expect("writable");
    let delivered = consumer.deliver(&mut cx, open(&mut client, &subscription)).expect("skipped");
    assert_eq!(delivered.events, 0);
    assert_eq!(queues::position(&mut client, QUEUE, CONSUMER), (info.tick, None));

    fill(&mut client, 3);
    let batch = open(&mut client, &subscription);
    let tick = batch.info().tick;
    assert_eq!(consumer.deliver(&mut cx, batch).expect("handled").events, 3);
    assert_eq!(fs::read_to_string(&file).expect("there"), tick.to_string());
    assert_eq!(count.0, 3);
}
