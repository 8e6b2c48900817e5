//! Two programs under one name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::*;
use crate::support::programs::{Running, command_on, errors};

/// Programs of one name, each in a folder of its own.
struct Twins {
    folder: TempDir,
    conninfo: String,
    database: Database,
}

impl Twins {
    fn create(pgq: Pgq) -> (Twins, Client) {
        let (database, mut client) = pgq.database();
        client
            .batch_execute(
                "create table greeting (name text); create table greeted (id int8 primary key, name text)",
            )
            .expect("created");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("greet");
        fs::write(
            &script,
            "#!/bin/sh\necho \"$1\" >>\"$PWD/started\"\nwhile [ -e \"$PWD/wait\" ]; do sleep 0.01; done\n",
        )
        .expect("writable");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the test's own");
        (Twins { folder, conninfo: database.conninfo(), database }, client)
    }

    fn start(&self, program: &str, who: &str, more: &str) -> Running {
        let folder = self.path(who);
        fs::create_dir_all(&folder).expect("writable");
        let ini = format!(
            "[{program}]\ndb = {}\nqueue_name = {QUEUE}\nconsumer_name = {CONSUMER}\nloop_delay = 0.02\n\
             exception_sleep = 0.02\nlogfile = log\n{more}",
            self.conninfo
        );
        fs::write(folder.join("x.ini"), ini).expect("writable");
        let mut command = command_on(self.database.server(), program, &folder);
        Running::start(command.arg("x.ini"))
    }

    fn slow(&self, who: &str, more: &str) -> Running {
        let more = format!("command = {}\n{more}", self.path("greet").display());
        self.start("slow_greeter", who, &more)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wait_in_log(&self, who: &str, text: &str) {
        wait_for(text, || read(&self.path(who).join("log")).contains(text));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn greeted(client: &mut Client) -> i64 {
    client.query_one("select count(*) from greeted", &[]).expect("readable").get(0)
}

#[test]
fn the_second_program_takes_over_from_one_that_is_killed_amid_a_batch() {
    for bouncer in [false, true] {
        let (mut twins, mut client) = Twins::create(Pgq::Own);
        let bouncer = bouncer.then(|| PgBouncer::start(twins.database.server(), 5));
        if let Some(bouncer) = &bouncer {
            twins.conninfo = bouncer.conninfo(twins.database.name());
        }
        fs::create_dir(twins.path("a")).expect("writable");
        fs::write(twins.path("a").join("wait"), "").expect("writable");
        let mut first = twins.slow("a", "");
        twins.wait_in_log("a", "consuming queue");
        let tick = fill(&mut client, 3);
        wait_for("an event to be handled", || !read(&twins.path("a").join("started")).is_empty());
        let mut second = twins.slow("b", "");
        twins.wait_in_log("b", "standing by: another process is consuming as `consumer`");
        assert_eq!(read(&twins.path("b").join("started")), "");
        first.kill();
        twins.wait_in_log("b", "taking over");
        wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        assert_eq!(read(&twins.path("b").join("started")).lines().count(), 3, "all of it again");
        assert_eq!(greeted(&mut client), 3);
        fs::remove_file(twins.path("a").join("wait")).expect("there");
        assert_eq!(read(&twins.path("a").join("started")), "event 0\n");
        second.signal(Signal::SIGINT);
        assert_eq!(second.wait(), Some(0));
    }
}

#[test]
fn a_killed_programs_transaction_is_rolled_back_before_the_second_one_begins() {
    for pgq in Pgq::ALL {
        let (twins, mut client) = Twins::create(pgq);
        let mut holder = twins.database.client();
        let mut hold = holder.transaction().expect("begin");
        hold.batch_execute("lock table greeting in exclusive mode").expect("locked");
        let mut first = twins.start("greeter", "a", "");
        twins.wait_in_log("a", "consuming queue");
        let tick = fill(&mut client, 10);
        let waiting = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                       and application_name = $1 and wait_event_type = 'Lock'";
        wait_for("the batch to be held", || client.query_one(waiting, &[&"x"]).expect("readable").get(0));
        let _second = twins.start("greeter", "b", "");
        twins.wait_in_log("b", "standing by");
        first.kill();
        hold.rollback().expect("released");
        twins.wait_in_log("b", "taking over");
        wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        let count = client.query_one("select count(*), count(distinct name) from greeting", &[]);
        let count = count.expect("readable");
        assert_eq!((count.get::<_, i64>(0), count.get::<_, i64>(1)), (10, 10), "{pgq:?}");
    }
}

#[test]
fn the_second_program_takes_over_after_a_clean_stop_and_a_reload_keeps_the_lock() {
    let (twins, mut client) = Twins::create(Pgq::Extension);
    let mut first = twins.slow("a", "");
    twins.wait_in_log("a", "consuming queue");
    fill(&mut client, 1);
    wait_for("the event", || greeted(&mut client) == 1);
    let second = twins.slow("b", "");
    twins.wait_in_log("b", "standing by");
    first.signal(Signal::SIGINT);
    assert_eq!(first.wait(), Some(0));
    twins.wait_in_log("b", "taking over");
    second.signal(Signal::SIGHUP);
    wait_for("the reload", || read(&twins.path("b").join("log")).matches("consuming queue").count() == 2);
    fill(&mut client, 1);
    wait_for("the event", || greeted(&mut client) == 2);
    assert_eq!(read(&twins.path("b").join("log")).matches("ERROR").count(), 0);
}

#[test]
fn a_program_that_has_to_end_and_cannot_work_says_so() {
    let (twins, mut client) = Twins::create(Pgq::Own);
    subscribe(&mut client, |_| ());
    let mut holder = twins.database.client();
    let _hold = take_lock(&mut holder);
    drop(twins.start("greeter", "a", ""));
    let mut command = command_on(twins.database.server(), "greeter", &twins.path("a"));
    let output =
        command.args(["x.ini", "--set", "logfile=", "--set", "loop_delay=0"]).output().expect("starts");
    let line = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("another process is consuming as `consumer`"), "{line}");
}

#[test]
fn a_program_may_end_when_there_is_another_one() {
    for program in ["greeter", "slow_greeter"] {
        let (twins, mut client) = Twins::create(Pgq::Own);
        let more = "pgq_twin = stop\n";
        let start = |who: &str| match program {
            "greeter" => twins.start(program, who, more),
            _ => twins.slow(who, more),
        };
        let mut first = start("a");
        twins.wait_in_log("a", "consuming queue");
        let tick = fill(&mut client, 1);
        wait_for("the batch", || queues::position(&mut client, QUEUE, CONSUMER) == (tick, None));
        drop(start("b"));
        let mut command = command_on(twins.database.server(), program, &twins.path("b"));
        let output = command.args(["x.ini", "--set", "logfile="]).output().expect("starts");
        let line = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.contains("another process is consuming as `consumer`"), "{line}");
        assert!(first.is_running());
    }
}
