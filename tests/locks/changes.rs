//! Locks of those that change queues, registrations and schemas.

use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::support::programs::{command_on, errors};
use crate::support::{queues, wait_for};

/// The keys of all that changes something.
const KEYS: [&str; 4] = [
    "hashtextextended(format('pgq queue %L', 'queue'), 0)",
    "hashtextextended(format('pgq queue %L', 'new'), 0)",
    "hashtextextended('pgq install', 0)",
    "hashtextextended('pgq_ext install', 0)",
];

const COMMANDS: [&[&str]; 6] = [
    &["create", "new"],
    &["register", "queue", "consumer"],
    &["unregister", "queue", "consumer", "--force"],
    &["install", "pgq"],
    &["install", "pgq_ext"],
    &["drop", "queue", "--force"],
];

#[test]
fn commands_that_wait_name_the_holder_and_end_at_once() {
    let (database, _client) = queues::database("locks", "queue");
    let mut unrelated = UnrelatedRole::connect(database.server(), database.name());
    unrelated.lock(&KEYS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("job.ini"), format!("[pgqadm]\ndb = {}\n", database.conninfo()))
        .expect("writable");
    let running = COMMANDS.map(|arguments| {
        let mut command = command_on(database.server(), "pgqadm", folder.path());
        command.arg("job.ini").args(arguments).stdout(Stdio::null());
        let file = std::fs::File::create(folder.path().join(arguments.join("_"))).expect("writable");
        (arguments, command.stderr(file).spawn().expect("starts"))
    });
    let received = |arguments: &[&str]| {
        std::fs::read_to_string(folder.path().join(arguments.join("_"))).expect("readable")
    };
    for (arguments, mut child) in running {
        let is_drop = arguments[0] == "drop";
        wait_for("the holder", || received(arguments).contains(&unrelated.named()));
        assert!(received(arguments).contains(&unrelated.remedy()), "{}", received(arguments));
        if !is_drop {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
        }
        let status = child.wait().expect("ends");
        assert!(!status.success(), "{arguments:?}");
        // It gives up by itself.
        assert!(!is_drop || received(arguments).contains("cannot drop the queue"), "{}", received(arguments));
    }
    unrelated.unlock();
    let mut command = command_on(database.server(), "pgqadm", folder.path());
    let output = command.args(["job.ini", "register", "queue", "consumer"]).output().expect("starts");
    assert!(output.status.success(), "{}", errors(&output));
}

/// As `pgqadm install --print | psql -1` does.
#[test]
fn a_printed_schema_that_waits_names_the_holder() {
    let database = crate::support::Database::create("locks");
    let mut unrelated = UnrelatedRole::connect(database.server(), database.name());
    unrelated.lock(&["hashtextextended('pgq install', 0)"]);
    let (send, notices) = channel();
    let mut config: postgres::Config = database.conninfo().parse().expect("a connection string");
    config.notice_callback(move |notice| {
        // Nobody listens any more.
        let _ = send.send(notice.message().to_owned());
    });
    let mut client = config.connect(postgres::NoTls).expect("the server is up");
    let installed = std::thread::spawn(move || client.batch_execute(&pgq::schema::sql()).map(|()| client));
    let received = || notices.recv_timeout(Duration::from_secs(60)).expect("a notice");
    let named = format!("process {} (user `{}`)", unrelated.pid, unrelated.name);
    while !received().contains(&named) {}
    unrelated.unlock();
    installed.join().expect("no panic").expect("installed");
}
