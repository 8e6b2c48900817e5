//! The private server itself: that it works, and that nothing of it stays behind.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, User, geteuid};
use postgres::error::SqlState;
use postgres::{Client, NoTls};

use crate::support::amount::pick;
use crate::support::server::Server;
use crate::support::{Database, programs, wait_for};

/// Marks the process of a test that runs the second part of it.
const PART: &str = "PGQ_TEST_PART";

fn start() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

fn setting(client: &mut Client, name: &str) -> String {
    client.query_one("select current_setting($1)", &[&name]).expect("read a setting").get(0)
}

/// A server's traces outside of this process.
struct Traces {
    dir: PathBuf,
    postmaster: Pid,
}

impl Traces {
    fn of(server: &Server) -> Traces {
        let file = fs::read_to_string(server.data_dir().join("postmaster.pid")).expect("read postmaster.pid");
        Traces::parse(&format!("{} {}", file.lines().next().unwrap_or_default(), server.dir().display()))
    }

    fn parse(line: &str) -> Traces {
        let (pid, dir) = line.trim_end().split_once(' ').expect("a process id and a folder");
        Traces { dir: dir.into(), postmaster: Pid::from_raw(pid.parse().expect("a process id")) }
    }

    fn print(&self) {
        // The test harness captures what the macros print, but not this.
        writeln!(io::stdout(), "\nserver: {} {}", self.postmaster, self.dir.display()).expect("print");
    }

    fn assert_present(&self) {
        assert!(self.dir.is_dir());
        assert_ne!(kill(self.postmaster, None), Err(Errno::ESRCH));
    }

    fn wait_until_removed(&self) {
        wait_for("the removal of the folder", || !self.dir.exists());
        wait_for("the end of the postmaster", || kill(self.postmaster, None) == Err(Errno::ESRCH));
    }
}

/// Returns the command that runs a test in a process of its own, with the default action for SIGINT.
fn this_test_again(name: &str, part: &str) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(env::current_exe().expect("the path of this program"));
    command.args([&format!("cluster::{name}"), "--exact", "--nocapture"]).env(PART, part);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    command
}

/// Reads the traces that the child prints once its server runs.
fn traces_of(child: &mut Child) -> Traces {
    let output = BufReader::new(child.stdout.take().expect("the output was set to a pipe"));
    let mut lines = output.lines().map_while(Result::ok);
    let line = lines.find_map(|line| line.strip_prefix("server: ").map(str::to_owned));
    Traces::parse(&line.expect("the child starts a server"))
}

/// Returns the part that this process runs, unless it is the test's own process.
fn part() -> Option<String> {
    env::var(PART).ok()
}

fn announce(server: Server) -> Server {
    let traces = Traces::of(&server);
    traces.assert_present();
    traces.print();
    server
}

fn sleep_forever() -> ! {
    loop {
        thread::park();
    }
}

#[test]
fn starts_and_answers() {
    let server = start();
    let mut client = server.client("postgres");
    assert_eq!(setting(&mut client, "timezone"), "UTC");
    assert_eq!(setting(&mut client, "server_encoding"), "UTF8");
    assert_eq!(setting(&mut client, "listen_addresses"), "");
    assert_eq!(setting(&mut client, "fsync"), "off");
    assert_eq!(setting(&mut client, "synchronous_commit"), "on");
    assert_eq!(setting(&mut client, "is_superuser"), "on");
    assert!(server.has_extension("pgq") || env::var_os("PG_BINDIR").is_some());
    assert!(!server.has_extension("no such extension"));
}

#[test]
fn takes_settings() {
    let builder =
        Server::builder().durable(true).setting("work_mem", "5MB").setting("cluster_name", r"it's \a");
    let server = builder.start().unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    assert_eq!(setting(&mut client, "fsync"), "on");
    assert_eq!(setting(&mut client, "work_mem"), "5MB");
    assert_eq!(setting(&mut client, "cluster_name"), r"it's \a");
}

#[test]
fn reports_the_log_when_it_does_not_start() {
    let Err(error) = Server::builder().setting("no_such_setting", "1").start() else {
        panic!("started with a setting that does not exist");
    };
    assert!(error.contains("no_such_setting"), "{error}");
}

#[test]
fn two_run_side_by_side() {
    let servers = [start(), start()];
    assert_ne!(servers[0].dir(), servers[1].dir());
    servers[0].create_database("only here");
    assert_eq!(setting(&mut servers[0].client("only here"), "port"), servers[0].port().to_string());
    let error =
        Client::connect(&servers[1].conninfo("only here"), NoTls).err().expect("it is on the other one");
    assert_eq!(error.code(), Some(&SqlState::INVALID_CATALOG_NAME));
}

#[test]
fn checks_passwords_over_tcp() {
    let builder = Server::builder().listen_localhost().hba("host all locked 127.0.0.1/32 scram-sha-256");
    let server = builder.start().unwrap_or_else(|error| panic!("{error}"));
    server.client("postgres").batch_execute("create role locked login password 'right'").expect("a role");
    let connect = |password: &str| {
        let port = server.port();
        let target = format!("host=127.0.0.1 port={port} dbname=postgres user=locked password={password}");
        Client::connect(&target, NoTls)
    };
    assert_eq!(setting(&mut connect("right").expect("the right password"), "is_superuser"), "off");
    let error = connect("wrong").err().expect("the wrong password");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[test]
fn databases_are_separate_and_dropped() {
    let (first, second) = (Database::create("same"), Database::create("same"));
    assert_ne!(first.name(), second.name());
    let mut client = second.client();
    let name = first.name().to_owned();
    let mut other = first.client();
    drop(first);
    assert!(other.batch_execute("select 1").is_err());
    let count: i64 = client
        .query_one("select count(*) from pg_database where datname = $1", &[&name])
        .expect("read the list of databases")
        .get(0);
    assert_eq!(count, 0);
}

#[test]
fn keeps_data_over_an_immediate_restart() {
    let server = start();
    let mut client = server.client("postgres");
    client.batch_execute("create table kept as select 42 as n").expect("a table");
    server.restart_immediate();
    assert!(client.batch_execute("select 1").is_err(), "the session survived");
    let row = server.client("postgres").query_one("select n from kept", &[]).expect("the table");
    assert_eq!(row.get::<_, i32>(0), 42);
    let traces = Traces::of(&server);
    drop(server);
    traces.wait_until_removed();
}

#[test]
fn stops_and_starts_again() {
    let server = start();
    let before = Traces::of(&server);
    server.stop();
    assert_eq!(kill(before.postmaster, None), Err(Errno::ESRCH));
    assert!(Client::connect(&server.conninfo("postgres"), NoTls).is_err());
    server.start_again();
    assert_eq!(setting(&mut server.client("postgres"), "port"), server.port().to_string());
    server.stop();
    drop(server);
    assert!(!before.dir.exists());
}

#[test]
fn is_removed_when_dropped() {
    let server = start();
    let client = server.client("postgres");
    let traces = Traces::of(&server);
    traces.assert_present();
    drop(server);
    assert!(!traces.dir.exists());
    assert_eq!(kill(traces.postmaster, None), Err(Errno::ESRCH));
    drop(client);
}

/// How a process with a server may end.
const ENDS: [&str; 5] = ["kill", "restart and kill", "interrupt", "panic", "leak"];

/// Ends this process, or waits for the other one to end it.
fn end_by(end: &str) {
    let server = start();
    if end.starts_with("restart") {
        server.restart_immediate();
    }
    let server = announce(server);
    match end {
        "panic" => panic!("on purpose"),
        "leak" => std::mem::forget(server),
        _ => sleep_forever(),
    }
}

#[test]
fn nothing_is_left_however_its_process_ends() {
    const NAME: &str = "nothing_is_left_however_its_process_ends";
    if let Some(end) = part() {
        return end_by(&end);
    }
    for end in pick(&ENDS[..2], &ENDS) {
        let mut child = this_test_again(NAME, end).spawn().expect("run this program");
        let traces = traces_of(&mut child);
        let process = Pid::from_raw(child.id().try_into().expect("a process id"));
        match *end {
            "kill" | "restart and kill" => kill(process, Signal::SIGKILL).expect("kill the child"),
            "interrupt" => killpg(process, Signal::SIGINT).expect("interrupt the group of the child"),
            _ => {}
        }
        child.wait().expect("the end of the child");
        traces.wait_until_removed();
    }
}

#[test]
fn says_how_to_install_it() {
    if part().is_some() {
        let error = Server::start().err().expect("a folder without binaries was named");
        writeln!(io::stdout(), "\nerror: {error}").expect("print");
        return;
    }
    let mut command = this_test_again("says_how_to_install_it", "start");
    let output = command.env("PG_BINDIR", "/dev").output().expect("run this program");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("error: ")).expect("an error in one line");
    assert!(line.contains("`/dev`") && line.ends_with("run `scripts/setup`"), "{line}");
}

#[test]
fn runs_for_an_ordinary_user() {
    if geteuid().is_root() {
        return check_as_ordinary_user("runs_for_an_ordinary_user");
    }
    let server = start();
    let owner = fs::metadata(server.dir()).expect("the server's folder").uid();
    assert_eq!(owner, geteuid().as_raw());
    assert_eq!(setting(&mut server.client("postgres"), "is_superuser"), "on");
}

fn check_as_ordinary_user(name: &str) {
    let nobody = User::from_name("nobody").expect("the list of users").expect("a user `nobody`");
    let dir =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a folder");
    let program = copy_of_this_program(dir.path());
    let output = Command::new(program)
        .args([&format!("cluster::{name}"), "--exact", "--nocapture"])
        .current_dir("/")
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .output()
        .expect("run the copy of this program");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The target folder may be closed to others.
fn copy_of_this_program(dir: &Path) -> PathBuf {
    let copy = dir.join("tests");
    programs::copy(&env::current_exe().expect("the path of this program"), &copy);
    copy
}
