//! Text from databases, files and the network is written to logs and terminals on one line, without commands to a
//! terminal, and without the content of rows.

mod outputs;
mod raised;

use std::fs;
use std::process::{Command, Output};

use crate::support::jobs::TestJob;
use crate::support::programs::{Pair, SOURCE_QUEUE, command_on, errors, program};
use crate::support::{queues, templates, wait_for};

/// Characters that a terminal takes as commands, that end lines, turn the direction of text, or are invisible.
const EVIL: &str = "y\u{1b}]0;PWNED\u{7}\u{1b}[2J\r\n2007-10-19 20:59:59,968 1 ERROR forged \u{85}\u{9b}31m\u{7f}\
                    \u{2028}\u{2029}\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{ad}\u{e0041}";

/// Fails unless a text consists of lines of printable characters.
#[track_caller]
fn assert_printable(text: &str) {
    let is_evil = |c: char| c != '\n' && c != '\t' && (c.is_control() || (!c.is_ascii() && EVIL.contains(c)));
    assert_eq!(text.chars().find(|c| is_evil(*c)), None, "{text:?}");
    let forged = text.lines().filter(|line| line.starts_with("2007-10-19"));
    assert_eq!(forged.count(), 0, "{text}");
}

/// Returns all that a program has printed.
fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(output))
}

/// Quotes a text for SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn messages_of_a_server_are_written_out() {
    let job = TestJob::sql("select evil()");
    let raise = format!("begin raise exception using message = {0}, hint = {0}; end", quoted(EVIL));
    let function = format!("create function evil() returns int language plpgsql as $x$ {raise} $x$");
    job.client().batch_execute(&function).expect("created");
    let output = job.command(&["--set", "loop_delay=-1"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    for text in [printed(&output), job.log()] {
        assert_printable(&text);
        assert!(text.contains(r"P0001: y\u{1b}]0;PWNED\u{7}\u{1b}[2J"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn messages_of_a_program_are_one_line_each() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let line = format!("INFO x {}\n", EVIL.replace('\n', "\\n"));
    fs::write(folder.path().join("lines"), &line).expect("writable");
    let log = |more: &str| {
        let ini = format!("[log_lines]\nlines = lines\nloop_delay = 0\nlogfile = x.log\n{more}");
        fs::write(folder.path().join("job.ini"), ini).expect("writable");
        let output = Command::new(program("log_lines")).arg("job.ini").current_dir(folder.path()).output();
        let file = fs::read_to_string(folder.path().join("x.log")).expect("logged");
        fs::remove_file(folder.path().join("x.log")).expect("there");
        [printed(&output.expect("it starts")), file]
    };
    for text in log("") {
        assert_printable(&text);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r"[2J\r\n2007-10-19"), "{text}");
    }
    for text in log("log_format = json\n") {
        assert_printable(&text);
        let object: serde_json::Value = serde_json::from_str(text.trim()).expect("one object");
        assert_eq!(object["message"], EVIL);
    }
    // The operator's own format may contain any character.
    for text in log("logfmt_console = >\u{1b}[1m%%(message)s\nlogfmt_file = >\u{1b}[1m%%(message)s\n") {
        assert!(text.starts_with(">\u{1b}[1my\\u{1b}"), "{text:?}");
    }
}

#[test]
fn startup_errors_are_written_to_stderr() {
    let job = TestJob::sql("select 1");
    fs::write(job.path().join("file"), "").expect("writable");
    let evil = EVIL.replace(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}'], "");
    for lines in [
        format!("logfile = file/{evil}\n"),
        format!("loop_delay = {evil}\n"),
        format!("pidfile = file/{evil}\n"),
    ] {
        job.write_ini(&format!("sql = select 1\n{lines}"));
        for switches in [&[][..], &["-d"]] {
            let output = job.command(switches).output().expect("it starts");
            let text = printed(&output);
            assert!(!output.status.success() && text.contains(r"y\u{1b}]0;PWNED"), "{text}");
            assert_printable(&text);
        }
    }
    let output = job.command(&[&format!("--{evil}")]).output().expect("it starts");
    assert_printable(&printed(&output));
}

/// Runs a failing statement with a secret, and returns the log.
fn failure(setup: &str, sql: &str) -> String {
    let job = TestJob::sql(sql);
    job.client().batch_execute(setup).expect("set up");
    let output = job.command(&["--set", "loop_delay=-1", "-v"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    format!("{}{}", printed(&output), job.log())
}

#[test]
fn rows_stay_in_the_database() {
    let table = "create table t (a text not null unique, b int, c int check (c < 9), exclude (b with =));
                 create table r (a text references t (a)); create type mood as enum ('sad');
                 create table s as select 'se' || 'cret' as x; insert into t select x, 1, 1 from s;";
    for (sql, state) in [
        ("insert into t select x, 2, 1 from s", "23505"),
        ("insert into t select x || 2, 1, 1 from s", "23P01"),
        ("insert into t select x || 2, 2, 10 from s", "23514"),
        ("insert into t (b, a) select 7, null from s", "23502"),
        ("insert into r select x || 3 from s", "23503"),
        ("select x::int from s", "22P02"),
        ("select x::mood from s", "22P02"),
        ("select x::json from s", "22P02"),
        ("select x::date from s", "22007"),
        ("select (x || chr(34) || 'b' || chr(10))::point from s", "22P02"),
    ] {
        let text = failure(table, sql);
        assert!(text.contains(state), "{sql}: {text}");
        assert!(!text.contains("secret") && !text.contains("Failing row"), "{sql}: {text}");
    }
    // Messages about the server's own objects are shown.
    let text = failure(&format!("{table} create view v as select b from t"), "alter table t drop column b");
    assert!(text.contains("view v depends on column b of table t"), "{text}");
}

#[test]
fn an_event_that_a_target_refuses_forges_no_line() {
    let pair = Pair::create();
    pair.register();
    let check = "alter table pgq.event_1_0 add check (ev_type !~ '^y');
                 alter table pgq.event_1_1 add check (ev_type !~ '^y');
                 alter table pgq.event_1_2 add check (ev_type !~ '^y');";
    pair.target_client().batch_execute(check).expect("altered");
    let mut source = pair.source_client();
    pgq::insert_event(&mut source, SOURCE_QUEUE, EVIL, "secret").expect("inserted");
    queues::tick(&mut source, SOURCE_QUEUE);
    let output = pair.mover(&["--set", "loop_delay=-1", "-v"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    for text in [printed(&output), pair.log()] {
        assert!(text.contains("23514"), "{text}");
        assert!(!text.contains("secret") && !text.contains("PWNED"), "{text}");
        assert_printable(&text);
    }
}

#[test]
fn the_reason_of_a_failed_event_contains_the_details_that_the_log_omits() {
    let (database, mut client) = templates::prepared("escaping");
    queues::create(&mut client, "q");
    client.batch_execute("create table greeting (name text check (name <> 'secret'))").expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!(
        "[greeter]\ndb = {}\npgq_queue_name = q\npgq_max_retries = 0\nlogfile = x.log\nloop_delay = 0\n",
        database.conninfo()
    );
    fs::write(folder.path().join("greeter.ini"), ini).expect("writable");
    let greeter = |switch: &str| {
        let mut command = command_on(database.server(), "greeter", folder.path());
        let output = command.args([switch, "greeter.ini"]).output().expect("it starts");
        assert!(output.status.success(), "{}", errors(&output));
        printed(&output)
    };
    greeter("--register");
    pgq::insert_event(&mut client, "q", "t", "secret").expect("inserted");
    queues::tick(&mut client, "q");
    let text = greeter("-vv") + &fs::read_to_string(folder.path().join("x.log")).expect("logged");
    assert!(text.contains("23514") && !text.contains("secret"), "{text}");
    let reason = "select ev_failed_reason from pgq.failed_queue";
    wait_for("the failed event", || client.query_one(reason, &[]).is_ok());
    let reason: String = client.query_one(reason, &[]).expect("one").get(0);
    assert!(reason.contains("Failing row contains (secret)"), "{reason}");
}
