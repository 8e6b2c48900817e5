//! The database as a log destination, compared with Skytools, and while it is unavailable.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use nix::sys::signal::Signal;
use postgres::Client;

use super::{Job, LINES};
use crate::support::amount::pick;
use crate::support::programs::{Running, errors, succeed};
use crate::support::server::Server;
use crate::support::{Database, wait_for};

/// The objects that an operator would create, and the columns that the tests need besides the arguments.
const SCHEMA: &str = "
create schema log;
create table log.line (
    id serial primary key, level text, job text, message text,
    application text default current_setting('application_name'), prepared int8);
create function log.add(level text, job text, message text) returns int4 language sql as $$
    insert into log.line (level, job, message, prepared)
    values ($1, $2, $3, (select count(*) from pg_prepared_statements)) returning id
$$";

/// The text after the number of lost messages.
const LOST: &str = " messages did not reach the log database";

/// A skylog file whose only handler is the database.
fn skylog(conninfo: &str) -> String {
    format!(
        "[loggers]\nkeys = root\n[handlers]\nkeys = logdb\n[formatters]\nkeys =\n\
         [logger_root]\nlevel = NOTSET\nhandlers = logdb\n\
         [handler_logdb]\nclass = skylog.LogDBHandler\nargs = ('{conninfo}',)\n"
    )
}

fn job(conninfo: &str) -> Job {
    let job = Job::create("use_skylog = 2");
    job.write("skylog.ini", &skylog(conninfo));
    job
}

/// A job that runs until it is stopped.
fn looping(conninfo: &str) -> Job {
    let job = job(conninfo);
    job.write("job.ini", "[log_lines]\nlines = lines\nloop_delay = 0.02\nuse_skylog = 2\npidfile = pid\n");
    job
}

/// Returns a database that messages may go to.
pub(super) fn database() -> (Database, Client) {
    let database = Database::create("log");
    let mut client = database.client();
    client.batch_execute(SCHEMA).expect("created");
    (database, client)
}

/// Returns level, job and message of every line, in the order of arrival.
pub(super) fn lines(client: &mut Client) -> Vec<String> {
    let rows = client.query("select level || ' ' || job || ' ' || message from log.line order by id", &[]);
    rows.expect("readable").iter().map(|row| row.get(0)).collect()
}

fn logged(job: &Job) -> usize {
    job.read("lines.done").parse().unwrap_or(0)
}

#[test]
fn the_database_receives_the_same_records_as_from_skytools() {
    let (ours, mut our_client) = database();
    let (theirs, mut their_client) = database();
    job(&ours.conninfo()).run(&["-v", "-v"]);
    succeed(&mut job(&theirs.conninfo()).skytools(&["-v", "-v"]));
    let sorted = |client: &mut Client| {
        // Figures keep the digits that they have in the log.
        let mut lines: Vec<_> =
            lines(client).iter().map(|line| line.replace("duration: 0.026}", "duration: 0.0260}")).collect();
        lines.sort();
        lines
    };
    let our_lines = sorted(&mut our_client);
    assert_eq!(our_lines, sorted(&mut their_client));
    assert!(our_lines.contains(&"INFO job first line".to_owned()), "{our_lines:?}");
    assert!(our_lines.contains(&"INFO job {count: 2, duration: 0.0260}".to_owned()), "{our_lines:?}");
    let other = "select count(*) from log.line where application <> 'job' or prepared > 0";
    assert_eq!(our_client.query_one(other, &[]).expect("readable").get::<_, i64>(0), 0);
}

#[test]
fn statistics_are_summed_and_the_rest_is_sent_at_the_end() {
    let (database, mut client) = database();
    let job = job(&database.conninfo());
    job.write("lines", &"INFO stats {count: 1, duration: 0.5000, idle: 2}\n".repeat(1000));
    job.run(&[]);
    let sums = lines(&mut client);
    let figures = |line: &str| -> Vec<f64> {
        let figures = line.trim_start_matches("INFO job {").trim_end_matches('}').split(", ");
        figures
            .map(|figure| figure.split_once(": ").expect("a figure").1.parse().expect("a number"))
            .collect()
    };
    assert!((1..=2).contains(&sums.len()), "{sums:?}");
    let totals = |at: usize| sums.iter().map(|line| figures(line)[at]).sum::<f64>();
    assert_eq!([totals(0), totals(1), totals(2)], [1000.0, 500.0, 2000.0], "{sums:?}");
}

#[test]
fn log_add_may_take_and_return_other_types_and_talk() {
    let database = Database::create("log");
    let mut client = database.client();
    let schema = "
        create schema log;
        create type log.level as enum ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'FATAL');
        create table log.line (id serial, level log.level, job varchar(100), message text);
        create function log.add(level log.level, job varchar, message text) returns setof log.line
        language plpgsql as $$
        begin
            raise warning 'storing %', $3;
            return query insert into log.line (level, job, message) values ($1, $2, $3) returning *;
        end $$";
    client.batch_execute(schema).expect("created");
    let job = job(&database.conninfo());
    job.write("lines", "WARN x one\nERROR x two\nINFO x \nINFO x last\n");
    // With all levels enabled, the driver logs the server's notices.
    job.run(&["-v", "-v"]);
    let expected = ["WARNING job one", "ERROR job two", "INFO job ", "INFO job last"];
    assert_eq!(lines(&mut client), expected);
}

/// Asserts that, of so many messages, the latest follow the first line and the number of those that were lost.
#[track_caller]
fn assert_latest(arrived: &[String], many: usize) {
    assert_eq!(arrived[0], "INFO job first");
    let lost = arrived[1].strip_prefix("WARNING job ").and_then(|line| line.strip_suffix(LOST));
    let lost: usize = lost.expect("a number in the second line").parse().expect("a number");
    assert!(lost > 0, "nothing was lost");
    let kept: Vec<String> = (lost..many).map(|number| format!("INFO job message {number}")).collect();
    assert_eq!(arrived[2..], kept);
}

#[test]
fn a_database_that_restarts_gets_the_latest_lines_and_the_number_of_lost_ones() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("log");
    server.client("log").batch_execute(SCHEMA).expect("created");
    server.stop();
    let job = looping(&server.conninfo("log"));
    job.write("lines", "INFO x first\n");
    let stderr = fs::File::create(job.path("err")).expect("creatable");
    let mut program = Running::start_with(&mut job.command(&[]), stderr);
    wait_for("the loop to go on without the database", || logged(&job) == 1);
    let many = pick(20_000, 100_000);
    let messages: String = (0..many).map(|number| format!("INFO x message {number}\n")).collect();
    job.append("lines", &messages);
    wait_for("the loop to log without the database", || logged(&job) == many + 1);
    let kilobytes = resident(program.pid());
    assert!(kilobytes < 64 * 1024, "{kilobytes} kB");

    server.start_again();
    wait_for("the last message", || has(&server, &format!("INFO job message {}", many - 1)));
    assert_latest(&lines(&mut server.client("log")), many);

    server.stop();
    job.append("lines", "WARN x meanwhile\n");
    wait_for("the loop to go on again", || logged(&job) == many + 2);
    server.start_again();
    wait_for("the message from the meantime", || has(&server, "WARNING job meanwhile"));
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
    assert!(has(&server, "INFO job stopped"));
    let complaints = job.read("err");
    assert!(
        complaints
            .starts_with("job: messages do not reach the log database: cannot connect to database `log`")
    );
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
}

/// Returns whether a line is among the last ones.
fn has(server: &Server, line: &str) -> bool {
    let select = "select count(*) > 0 from (select * from log.line order by id desc limit 20) last \
                  where level || ' ' || job || ' ' || message = $1";
    server.client("log").query_one(select, &[&line]).expect("readable").get(0)
}

/// Returns the memory that a process has, in kilobytes.
fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of its own");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_session_that_the_server_ends_is_replaced() {
    let (database, mut client) = database();
    let job = looping(&database.conninfo());
    job.write("lines", "INFO x one\n");
    let _program = Running::start(&mut job.command(&[]));
    wait_for("the first line", || lines(&mut client) == ["INFO job one"]);
    let end = "select count(pg_terminate_backend(pid, 60000)) from pg_stat_activity
        where application_name = 'job' and datname = current_database() and state = 'idle'";
    wait_for("the end of the session", || {
        client.query_one(end, &[]).expect("the superuser may").get::<_, i64>(0) == 1
    });
    job.append("lines", "INFO x two\n");
    wait_for("the second line", || {
        let mut lines = lines(&mut client);
        // When the answer and the session's end arrive together, the line is sent again.
        lines.dedup();
        lines == ["INFO job one", "INFO job two"]
    });
}

#[test]
fn a_database_that_refuses_connections_is_retried_and_nothing_is_lost() {
    let (database, mut client) = database();
    let role = format!("{}_writer", database.name());
    client.batch_execute(&format!("create role {role} superuser nologin")).expect("created");
    let job = looping(&database.conninfo().replace("user=postgres", &format!("user={role}")));
    job.write("lines", "INFO x one\nINFO x two\n");
    let stderr = fs::File::create(job.path("err")).expect("creatable");
    let program = Running::start_with(&mut job.command(&[]), stderr);
    wait_for("a refusal", || job.read("err").contains("FATAL 28000: role"));
    client.batch_execute(&format!("alter role {role} login")).expect("altered");
    wait_for("the lines", || lines(&mut client) == ["INFO job one", "INFO job two"]);
    drop(program);
    client.batch_execute(&format!("drop role {role}")).expect("dropped");
}

#[test]
fn a_record_that_the_database_refuses_delays_nothing_else() {
    let (database, mut client) = database();
    client.batch_execute("alter table log.line add check (message <> 'bad')").expect("altered");
    let job = job(&database.conninfo());
    job.write("lines", "INFO x one\nINFO x bad\nINFO x bad\nINFO x nul \0 in it\n");
    let output = job.run(&[]);
    let expected =
        ["INFO job one", "INFO job nul   in it", "WARNING job 2 messages did not reach the log database"];
    assert_eq!(lines(&mut client), expected);
    let complaint = errors(&output);
    assert!(
        complaint.starts_with("job: messages do not reach the log database: log.add failed: ERROR 23514")
    );
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn a_server_that_never_answers_does_not_keep_the_program_from_ending() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = silent.local_addr().expect("bound").port();
    let job = looping(&format!("host=127.0.0.1 port={port} user=log password=secret dbname=log"));
    let mut program = Running::start(&mut job.command(&[]));
    let (mut session, _) = silent.accept().expect("the program connects");
    assert!(session.read(&mut [0; 8]).expect("it asks") > 0);
    wait_for("the loop to go on", || logged(&job) == LINES.lines().count());
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn a_daemon_logs_from_the_process_that_stays() {
    let (database, mut client) = database();
    let job = looping(&database.conninfo());
    // The background process must not hold on to the test's output.
    let status = job.command(&["-d"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("starts").success());
    wait_for("the lines", || lines(&mut client).iter().any(|line| line.starts_with("INFO job {")));
    succeed(&mut job.command(&["-s"]));
    wait_for("the end", || !job.path("pid").exists());
    wait_for("the last line", || lines(&mut client).last().is_some_and(|line| line == "INFO job stopped"));
}
