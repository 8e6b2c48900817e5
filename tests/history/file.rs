//! Consumers whose position is in a local file.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::support::Database;
use crate::support::programs::{command_on, errors};

pub(super) const QUEUE: &str = "queue";
pub(super) const CONSUMER: &str = "names";

pub(super) struct Local {
    database: Database,
    pub(super) folder: TempDir,
}

impl Local {
    pub(super) fn create() -> (Local, Client) {
        let (database, client) = queues::database("history", QUEUE);
        let local = Local { database, folder: tempfile::tempdir().expect("a temporary folder") };
        let ini = format!(
            "[name_file]\njob_name = {CONSUMER}\ndb = {}\nqueue_name = {QUEUE}\nloop_delay = 0\npgq_merge_events = 0\n\
             exception_sleep = 0.02\nlocal_tracking_file = tick\nname_file = names\n",
            local.database.conninfo()
        );
        fs::write(local.folder.path().join("x.ini"), ini).expect("writable");
        (local, client)
    }

    /// Runs the program and returns its exit status and its output.
    pub(super) fn run(&self, switches: &[&str]) -> (Option<i32>, String) {
        let mut command = command_on(self.database.server(), "name_file", self.folder.path());
        let output = command.arg("x.ini").args(switches).output().expect("starts");
        (output.status.code(), errors(&output))
    }

    #[track_caller]
    pub(super) fn drain(&self) -> String {
        let (status, said) = self.run(&[]);
        assert_eq!(status, Some(0), "{said}");
        said
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("writable");
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    pub(super) fn names(&self) -> usize {
        self.read("names").lines().count()
    }
}

#[test]
fn a_restored_queue_is_a_lost_position_also_for_a_new_start() {
    let (local, mut client) = Local::create();
    local.drain();
    let ticks = [0, 10, 20].map(|from| batch(&mut client, QUEUE, from, 10));
    local.drain();
    let time = time_of(&mut client, ticks[2]);
    restore(&mut client, ticks[0], 100);
    for round in 0..5 {
        let tick = batch(&mut client, QUEUE, 100 + round, 1);
        for switches in [&[][..], &["--rewind"], &["--set", "pgq_merge_events=1000"]] {
            let (status, said) = local.run(switches);
            assert_eq!(status, Some(1), "tick {tick}: {said}");
            assert!(said.contains("--reset"), "{said}");
            assert!(tick < ticks[2] || said.contains(&time), "tick {tick}: {said}");
        }
    }
    // The queue's position is the number in the file.
    pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, ticks[2]).expect("moved");
    assert_eq!(local.run(&[]).0, Some(1));
    assert_eq!((local.names(), local.read("tick")), (30, ticks[2].to_string()));
    assert_eq!(local.run(&["--reset"]).0, Some(0));
    local.drain();
    assert_eq!(local.names(), 30 + 3, "the events after the queue's tick");
}

#[test]
fn a_queue_that_was_restored_amid_a_batch_is_a_lost_position() {
    let (local, mut client) = Local::create();
    local.drain();
    let ticks = [0, 10].map(|from| batch(&mut client, QUEUE, from, 10));
    local.drain();
    restore(&mut client, ticks[0], 100);
    batch(&mut client, QUEUE, 100, 1);
    // The open batch ends at the file's number.
    let open = "select pgq.next_batch($1, $2)";
    assert!(client.query_one(open, &[&QUEUE, &CONSUMER]).expect("opened").get::<_, Option<i64>>(0).is_some());
    assert_eq!(local.run(&[]).0, Some(1));
    assert_eq!(local.names(), 20);
}

#[test]
fn a_number_without_a_time_is_accepted_once_and_completed() {
    let (local, mut client) = Local::create();
    local.drain();
    let tick = batch(&mut client, QUEUE, 0, 10);
    local.drain();
    // As an earlier release or python-pgq has left it; a number of somebody else's.
    for times in [None, Some("1 2020-01-01T00:00:00.000000Z\n")] {
        match times {
            None => fs::remove_file(local.folder.path().join("tick.time")).expect("there"),
            Some(times) => local.write("tick.time", times),
        }
        let said = local.drain();
        assert!(said.contains("adding its time") && !said.contains("WARNING"), "{said}");
        assert!(local.read("tick.time").contains(&format!("{tick} ")), "{}", local.read("tick.time"));
        assert!(!local.drain().contains("adding its time"));
    }
    assert_eq!((local.names(), local.read("tick")), (10, tick.to_string()));
}

#[test]
fn a_crash_between_the_two_files_leaves_a_tick_with_its_time() {
    let (local, mut client) = Local::create();
    local.drain();
    let first = batch(&mut client, QUEUE, 0, 10);
    local.drain();
    let second = batch(&mut client, QUEUE, 10, 10);
    local.drain();
    let expected = [first, second].map(|tick| {
        format!("{tick} {}", time_of(&mut client, tick).replacen(' ', "T", 1).replace(" UTC", "Z"))
    });
    assert_eq!(local.read("tick.time").lines().collect::<Vec<_>>(), expected);
    // The first file is older by one.
    pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, first).expect("moved back");
    local.write("tick", &first.to_string());
    assert!(!local.drain().contains("adding its time"));
    assert_eq!((local.names(), local.read("tick")), (30, second.to_string()));
}
