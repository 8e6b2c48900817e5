//! Several hosts, servers that fail, and programs that go on by themselves.

mod asynchronous;
mod locks;
pub(crate) mod position;

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use dbscript::{Control, Databases};
use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::{Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, command, errors};
use crate::support::server::Server;
use crate::support::{queues, wait_for};

/// Returns the part of a connection string that names servers, by their sockets.
fn hosts(servers: &[&Server]) -> String {
    let folders: Vec<_> = servers.iter().map(|server| server.socket_dir().display().to_string()).collect();
    let ports: Vec<_> = servers.iter().map(|server| server.port().to_string()).collect();
    format!("host={} port={} user=postgres", folders.join(","), ports.join(","))
}

/// Returns the same, for programs that write.
pub(crate) fn writable(servers: &[&Server]) -> String {
    format!("{} target_session_attrs=read-write", hosts(servers))
}

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn standby_of(primary: &Server) -> Server {
    primary.start_standby().unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn promote(standby: &Server) {
    standby.client("postgres").execute("select pg_promote()", &[]).expect("a standby can be promoted");
}

/// A program that inserts a row a round.
struct Inserter {
    folder: TempDir,
}

impl Inserter {
    fn new(conninfo: &str) -> Inserter {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!(
            "[run_sql]\ndb = {conninfo} dbname=postgres\nsql = insert into round default values\n\
             logfile = log\nloop_delay = 0.05\nexception_sleep = 0.1\n"
        );
        fs::write(folder.path().join("run.ini"), ini).expect("the folder is writable");
        Inserter { folder }
    }

    fn command(&self) -> Command {
        let mut command = command("run_sql", self.folder.path());
        command.arg("run.ini");
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn create_table(server: &Server) {
    server
        .client("postgres")
        .batch_execute("create table round (at timestamptz default now())")
        .expect("the table is new");
}

fn rounds(client: &mut Client) -> i64 {
    client.query_one("select count(*) from round", &[]).expect("the table is there").get(0)
}

#[test]
fn a_program_continues_when_the_standby_takes_over() {
    let primary = server();
    create_table(&primary);
    let standby = standby_of(&primary);
    let inserter = Inserter::new(&writable(&[&standby, &primary]));
    let mut program = Running::start(&mut inserter.command());
    let mut old = primary.client("postgres");
    wait_for("rows on the primary", || rounds(&mut old) > 2);
    primary.stop();
    let mut new = standby.client("postgres");
    let before = rounds(&mut new);
    assert!(before > 2, "{before}");
    wait_for("the program to notice", || inserter.log().contains("the session is read-only"));
    promote(&standby);
    wait_for("rows on the new primary", || rounds(&mut new) > before + 2);
    assert!(program.is_running());
}

#[test]
fn the_mover_continues_when_both_its_databases_fail_over() {
    let pair = Pair::on_own_server();
    pair.register();
    let standby = standby_of(pair.server());
    queues::insert(&mut pair.source_client(), SOURCE_QUEUE, 1, 500);
    let hosts = writable(&[pair.server(), &standby]);
    let ini = pair.folder.path().join("mover.ini");
    let text = fs::read_to_string(&ini).expect("the file is there");
    fs::write(&ini, text.replace("_db = ", &format!("_db = {hosts} "))).expect("the file is writable");
    let mut mover = Running::start(&mut pair.mover(&[]));
    queues::tick(&mut pair.source_client(), SOURCE_QUEUE);
    let mut target = pair.target_client();
    wait_for("the first events", || queues::count(&mut target, TARGET_QUEUE) == 500);
    queues::insert(&mut pair.source_client(), SOURCE_QUEUE, 501, 500);
    queues::tick(&mut pair.source_client(), SOURCE_QUEUE);
    pair.server().stop();
    promote(&standby);
    let mut source = standby.client(&pair.source);
    let mut target = standby.client(&pair.target);
    queues::insert(&mut source, SOURCE_QUEUE, 1001, 500);
    queues::tick(&mut source, SOURCE_QUEUE);
    wait_for("all events", || queues::count(&mut target, TARGET_QUEUE) >= 1500);
    assert!(mover.is_running());
    let expected = queues::events(&mut source, SOURCE_QUEUE);
    assert_eq!(queues::events(&mut target, TARGET_QUEUE), expected, "{}", pair.log());
}

#[test]
fn a_server_that_becomes_read_only_is_left() {
    let [old, new] = [server(), server()];
    for server in [&old, &new] {
        create_table(server);
    }
    let inserter = Inserter::new(&writable(&[&old, &new]));
    let mut program = Running::start(&mut inserter.command());
    let mut client = old.client("postgres");
    wait_for("rows on the first server", || rounds(&mut client) > 2);
    client.batch_execute("alter system set default_transaction_read_only = on").expect("a superuser may");
    client.batch_execute("select pg_reload_conf()").expect("a superuser may");
    let mut client = new.client("postgres");
    wait_for("rows on the second server", || rounds(&mut client) > 2);
    assert!(program.is_running());
    // The session existed, and only its statement could show it.
    assert_eq!(inserter.log().matches("25006").count(), 1, "{}", inserter.log());
}

#[test]
fn hosts_are_unavailable_for_a_while() {
    let server = Server::builder().listen_localhost().start().unwrap_or_else(|error| panic!("{error}"));
    create_table(&server);
    let conninfo = format!("host=127.0.0.1,127.0.0.1 port=1,{} user=postgres", server.port());
    let inserter = Inserter::new(&conninfo);
    server.stop();
    let mut program = Running::start(inserter.command().arg("-v"));
    wait_for("two failed rounds", || inserter.log().matches("is the server running there?").count() > 1);
    server.start_again();
    let mut client = server.client("postgres");
    wait_for("rows", || rounds(&mut client) > 2);
    assert!(program.is_running());
}

#[test]
fn one_line_reports_the_answer_of_each_host() {
    let server = Server::builder().listen_localhost().setting("default_transaction_read_only", "on").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let port = server.port();
    let conninfo =
        format!("host=127.0.0.1,127.0.0.1 port=1,{port} user=postgres target_session_attrs=read-write");
    let output =
        Inserter::new(&conninfo).command().args(["--set", "loop_delay=-1"]).output().expect("starts");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = text.lines().last().unwrap_or_default();
    assert_eq!(text.matches("cannot connect").count(), 1, "{text}");
    assert!(line.contains("127.0.0.1:1: ") && line.contains("refused"), "{text}");
    assert!(line.contains(&format!("127.0.0.1:{port}: the session is read-only")), "{text}");
}

#[test]
fn a_host_that_refuses_the_user_ends_the_search() {
    let [locked, open] = ["local all locked reject", "local all locked trust"].map(|hba| {
        let server = Server::builder().hba(hba).start().unwrap_or_else(|error| panic!("{error}"));
        server.client("postgres").batch_execute("create role locked login").expect("the role is new");
        server
    });
    let conninfo =
        |servers: &[&Server]| hosts(servers).replace("user=postgres", "user=locked dbname=postgres");
    let error = in_recovery(&conninfo(&[&locked, &open])).expect_err("the first one refuses");
    assert!(error.contains("28000") && error.contains("locked"), "{error}");
    assert_eq!(psql(&open, &conninfo(&[&locked, &open])), None);
    assert!(in_recovery(&conninfo(&[&open, &locked])).is_ok());
    let standby = format!("{} target_session_attrs=prefer-standby", conninfo(&[&open, &locked]));
    assert_eq!(psql(&open, &standby), None);
    in_recovery(&standby).expect_err("the second one refuses");
}

#[test]
fn a_silent_host_costs_no_more_than_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = silent.local_addr().expect("it listens").port();
    let server = Server::builder().listen_localhost().start().unwrap_or_else(|error| panic!("{error}"));
    let conninfo = |sslmode: &str| {
        format!(
            "host=127.0.0.1,127.0.0.1 port={silent},{} user=postgres dbname=postgres connect_timeout=2 \
             sslmode={sslmode}",
            server.port()
        )
    };
    for sslmode in ["disable", "prefer"] {
        assert_eq!(in_recovery(&conninfo(sslmode)).as_deref(), Ok("false"), "{sslmode}");
    }
    let error = in_recovery(&conninfo("require")).expect_err("the real server has no encryption");
    assert!(error.contains("timed out") && error.contains("does not offer encryption"), "{error}");
}

#[test]
fn the_wanted_session_is_found_as_psql_finds_it() {
    let primary = server();
    let standby = standby_of(&primary);
    for order in [[&primary, &standby], [&standby, &primary]] {
        for wanted in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] {
            let conninfo = format!("{} dbname=postgres target_session_attrs={wanted}", hosts(&order));
            assert_eq!(in_recovery(&conninfo).ok(), psql(&primary, &conninfo), "{conninfo}");
        }
    }
    for wanted in ["standby", "read-only", "prefer-standby"] {
        let conninfo = format!("{} dbname=postgres target_session_attrs={wanted}", hosts(&[&primary]));
        assert_eq!(in_recovery(&conninfo).ok(), psql(&primary, &conninfo), "{conninfo}");
    }
}

#[test]
fn hosts_are_tried_in_a_random_order_on_request() {
    let primary = server();
    let standby = standby_of(&primary);
    let conninfo = format!("{} dbname=postgres load_balance_hosts=random", hosts(&[&primary, &standby]));
    for wanted in ["true", "false"] {
        wait_for("a connection to each host", || in_recovery(&conninfo).as_deref() == Ok(wanted));
    }
}

/// Connects as programs do, and returns whether the server is a standby.
fn in_recovery(conninfo: &str) -> Result<String, String> {
    let mut databases = Databases::new("test", Control::default());
    databases.set("db", conninfo);
    let mut client = databases.get("db").map_err(|error| dbscript::describe(&error))?;
    let row = client.query_one("select pg_is_in_recovery()::text", &[]).expect("the server answers");
    Ok(row.get(0))
}

fn psql(server: &Server, conninfo: &str) -> Option<String> {
    let mut psql = server.client_program("psql");
    let output =
        psql.args(["-XAtc", "select pg_is_in_recovery()::text", conninfo]).output().expect("psql starts");
    let text = String::from_utf8(output.stdout).expect("text");
    output.status.success().then(|| text.trim().to_owned())
}
