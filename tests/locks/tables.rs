//! Tables that another session has locked: the waiting session names the holder.

use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgq::schema::Kind;
use tempfile::TempDir;

use super::*;
use crate::support::programs::command_on;
use crate::support::{Database, queues, templates, wait_for};

/// A database, a session that keeps something locked, and a folder for files.
struct Place {
    database: Database,
    holder: Client,
    folder: TempDir,
}

impl Place {
    fn create(kind: Kind) -> Place {
        let (database, mut client) = templates::installed_whole(kind, "locks");
        queues::create(&mut client, "queue");
        pgq::admin::register_consumer(&mut client, "queue", "consumer").expect("registered");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("job.ini"), format!("[pgqadm]\ndb = {}\n", database.conninfo()))
            .expect("writable");
        Place { holder: client, database, folder }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = command_on(self.database.server(), "pgqadm", self.folder.path());
        command.arg("job.ini").args(arguments).stdout(Stdio::null());
        let file = std::fs::File::create(self.file(arguments)).expect("writable");
        command.stderr(file).spawn().expect("starts")
    }

    fn file(&self, arguments: &[&str]) -> std::path::PathBuf {
        self.folder.path().join(arguments.join("_"))
    }

    fn said(&self, arguments: &[&str]) -> String {
        std::fs::read_to_string(self.file(arguments)).expect("readable")
    }

    fn holder_named(&mut self) -> String {
        let pid: i32 = self.holder.query_one("select pg_backend_pid()", &[]).expect("a number").get(0);
        format!("is held by process {pid} (user `")
    }
}

const COMMANDS: [&[&str]; 7] = [
    &["create", "new"],
    &["register", "queue", "other"],
    &["unregister", "queue", "consumer", "--force"],
    &["config", "queue", "ticker_max_lag=1"],
    &["uninstall", "pgq", "--force"],
    &["uninstall", "pgq_ext", "--force"],
    &["repair", "--force"],
];

/// Fails unless commands that wait for a table name the holder, and end at once.
fn expect_named_holder(kind: Kind) {
    let mut place = Place::create(kind);
    place
        .holder
        .batch_execute(
            "select setval('pgq.event_1_tick_seq', 1, false); \
             begin; lock table pgq.queue, pgq.subscription, pgq.consumer, pgq_ext.completed_tick \
             in share row exclusive mode",
        )
        .expect("locked");
    let named = place.holder_named();
    let running = COMMANDS.map(|arguments| (arguments, place.start(arguments)));
    for (arguments, mut child) in running {
        wait_for(&format!("the holder, by {arguments:?}"), || place.said(arguments).contains(&named));
        let said = place.said(arguments);
        assert!(said.contains("select pg_terminate_backend("), "{said}");
        if arguments[0] != "repair" {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
        }
        assert!(!child.wait().expect("ends").success(), "{arguments:?} on {kind}");
    }
    let said = place.said(COMMANDS[6]);
    assert!(said.contains("cannot repair the database: a lock that the repair needs is held"), "{said}");
}

#[test]
fn commands_that_wait_for_a_table_name_the_holder_and_end_at_once_on_the_own_schema() {
    expect_named_holder(Kind::Own);
}

#[test]
fn commands_that_wait_for_a_table_name_the_holder_and_end_at_once_on_the_extension() {
    expect_named_holder(Kind::Extension);
}

#[test]
fn a_row_is_named_too() {
    let mut place = Place::create(Kind::Own);
    place.holder.batch_execute("begin; update pgq.subscription set sub_active = now()").expect("changed");
    let arguments: &[&str] = &["unregister", "queue", "consumer", "--force"];
    let mut child = place.start(arguments);
    let named = format!("a row that another session has changed {}", place.holder_named());
    wait_for("the holder", || place.said(arguments).contains(&named));
    place.holder.batch_execute("rollback").expect("ended");
    assert!(child.wait().expect("ends").success(), "{}", place.said(arguments));
}

/// Fails unless a repair names the holder of the lock of ticks.
fn expect_named_ticker(kind: Kind) {
    let mut place = Place::create(kind);
    place.holder.batch_execute("select setval('pgq.event_1_tick_seq', 1, false)").expect("set");
    let mut unrelated = UnrelatedRole::connect(place.database.server(), place.database.name());
    unrelated
        .session
        .batch_execute("select pg_advisory_lock(hashtext('pgq ticker'), -1)")
        .expect("anybody may");
    let arguments: &[&str] = &["repair", "--force"];
    assert!(!place.start(arguments).wait().expect("ends").success());
    assert!(place.said(arguments).contains(&unrelated.named()), "{}", place.said(arguments));
}

#[test]
fn a_repair_names_the_holder_of_the_tick_lock_on_the_own_schema() {
    expect_named_ticker(Kind::Own);
}

#[test]
fn a_repair_names_the_holder_of_the_tick_lock_on_the_extension() {
    expect_named_ticker(Kind::Extension);
}

/// Runs statements on a connection of its own, and returns a way to end it and the server's warnings.
fn warnings(
    database: &Database,
    statements: &str,
) -> (std::thread::JoinHandle<()>, std::sync::mpsc::Receiver<String>) {
    let (send, notices) = channel();
    let mut config: postgres::Config = database.conninfo().parse().expect("a connection string");
    config.notice_callback(move |notice| {
        // Nobody listens any more.
        let _ = send.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).expect("the server is up");
    let statements = statements.to_owned();
    let running = std::thread::spawn(move || client.batch_execute(&statements).expect("done"));
    (running, notices)
}

#[test]
fn scripts_and_ticks_in_sql_name_the_holder() {
    let place = Place::create(Kind::Own);
    let mut unrelated = UnrelatedRole::connect(place.database.server(), place.database.name());
    unrelated.lock(&["hashtextextended('pgq_ext install', 0)", "hashtext('pgq ticker'), 1"]);
    let named = format!("process {} (user `{}`)", unrelated.pid, unrelated.name);
    let printed = format!("begin; {} commit", pgq_ext::schema::sql());
    let waiting = [printed, "select pgq.ticker('queue')".to_owned()]
        .map(|statements| warnings(&place.database, &statements));
    for (_, notices) in &waiting {
        let said = || notices.recv_timeout(Duration::from_secs(60)).expect("a warning");
        while !said().contains(&named) {}
    }
    unrelated.unlock();
    for (running, _) in waiting {
        running.join().expect("no panic");
    }
}
