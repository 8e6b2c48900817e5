//! Every connection notices a machine that falls silent.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::support::programs::{Running, command, succeed};
use crate::support::relay::Relay;
use crate::support::shared;

/// The state of a TCP connection that is open, and the number of the timer for keepalives, as the kernel lists them.
const ESTABLISHED: &str = "01";
const KEEPALIVE: &str = "02";

/// Returns, for each connection of a process to a port, in how many hundredths of a second the next probe is due.
fn probes(pid: i32, port: u16) -> Vec<Option<u64>> {
    let sockets: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel lists them");
    let remote = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| {
        row.len() > 9 && row[2].ends_with(&remote) && row[3] == ESTABLISHED && sockets.contains(row[9])
    });
    let due = |row: Vec<&str>| {
        let (timer, due) = row[5].split_once(':')?;
        (timer == KEEPALIVE).then(|| u64::from_str_radix(due, 16).expect("a number"))
    };
    ours.map(due).collect()
}

/// Waits until a program has so many connections, each of which is probed within five seconds, or none.
#[track_caller]
fn are_probed(program: &Running, port: u16, count: usize, probed: bool) {
    let is_right = |due: &Option<u64>| match probed {
        true => due.is_some_and(|due| due <= 550),
        false => due.is_none(),
    };
    let mut seen = Vec::new();
    wait_for("its idle connections", || {
        seen = probes(program.pid(), port);
        // While something is under way there is another timer.
        seen.len() >= count && seen.iter().all(is_right)
    });
}

#[test]
fn connections_of_every_kind_of_program_are_probed() {
    let relay = Relay::start(shared());
    let (database, mut client) = queues::database("silence", QUEUE);
    client.batch_execute("create table greeting (name text)").expect("the table is new");
    queues::create(&mut client, "copy");
    let db = relay.conninfo(database.name());
    let autocommit = "loop_delay = 60\npgq_autocommit = 1\n";
    // The greeter has a connection, that of its lock, and a listener's.
    let greeter = Greeter::new(&db, autocommit);
    let program = Running::start(&mut greeter.command());
    are_probed(&program, relay.port(), 3, true);
    drop(program);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let programs = [
        (
            "queue_mover",
            format!("src_db = {db}\ndst_db = {db}\npgq_queue_name = q\ndst_queue_name = copy\n"),
            2,
            "",
        ),
        ("run_sql", format!("db = {db}\nsql = select 1\n"), 1, ""),
        ("pgqadm", format!("db = {db}\n"), 2, "ticker"),
    ];
    for (name, lines, count, argument) in programs {
        fs::write(folder.path().join("x.ini"), format!("[{name}]\n{lines}loop_delay = 60\n"))
            .expect("written");
        let mut command = command(name, folder.path());
        command.arg("x.ini").args(Some(argument).filter(|argument| !argument.is_empty()));
        let program = Running::start(&mut command);
        are_probed(&program, relay.port(), count, true);
    }
}

#[test]
fn a_connection_string_overrides_the_probes() {
    let relay = Relay::start(shared());
    let database = Database::create("silence");
    let mut client = database.client();
    prepare(&mut client);
    for (more, probed) in [("keepalives=0", false), ("keepalives_idle=3", true)] {
        let greeter =
            Greeter::new(&format!("{} {more}", relay.conninfo(database.name())), "loop_delay = 60\n");
        let program = Running::start(&mut greeter.command());
        are_probed(&program, relay.port(), 2, probed);
    }
}

/// A batch's transaction keeps a lock, so its end has to be noticed on the server too.
#[test]
fn the_server_probes_the_client_of_a_batch() {
    let server = Server::builder().listen_localhost().start().unwrap_or_else(|error| panic!("{error}"));
    let mut client = database(&server, "batch");
    let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=batch", server.port());
    let greeter = Greeter::new(&conninfo, "loop_delay = 0.05\n");
    succeed(greeter.command().arg("--register"));
    client
        .batch_execute(
            "create table seen (idle text); \
         create function note() returns trigger language plpgsql as $$ begin \
             insert into seen values (current_setting('tcp_keepalives_idle')); return new; end $$; \
         create trigger note before insert on greeting for each row execute function note()",
        )
        .expect("created");
    send(&mut client, 1);
    let _program = Running::start(&mut greeter.command());
    wait_for("the greeting", || greeted(&mut client) == 1);
    let idle: String = client.query_one("select idle from seen", &[]).expect("one row").get(0);
    assert_eq!(idle, "5");
}
