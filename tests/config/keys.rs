//! The keys of every program, each seen at work.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use super::{Place, write};
use crate::support::programs::{Running, errors, succeed};
use crate::support::wait_for;

const ONCE: &str = "loop_delay = -1\n";

const BACKEND: &str = "sql = insert into seen (what) values (pg_backend_pid()::text)\nloop_delay = 0.01\n";

#[test]
fn built_ins_are_expanded_in_values() {
    let place = Place::create();
    let all = "%(job_name)s|%(service_name)s|%(host_name)s|%(config_dir)s|%(config_file)s";
    let host = nix::unistd::gethostname().expect("a name").into_string().expect("text");
    place.write(&format!("{ONCE}{}", write(all)));
    succeed(&mut place.command());
    assert_eq!(place.seen(), [format!("job|run_sql|{host}|.|job.ini")]);

    place.write(&format!("{ONCE}{}job_name = nightly\nHOST_name: here\n", write(all)));
    let file = place.path("job.ini");
    let mut program = crate::support::programs::command("run_sql", place.folder.path());
    succeed(program.arg(&file));
    let expected = format!("nightly|run_sql|here|{}|{}", place.folder.path().display(), file.display());
    assert_eq!(place.seen()[1], expected);
}

#[test]
fn the_job_name_is_the_connections_name_and_in_the_log() {
    let place = Place::create();
    let sql = "sql = insert into seen (what) select current_setting('application_name')\n";
    for (line, name) in [("", "job"), ("job_name = nightly\n", "nightly")] {
        place.write(&format!("{ONCE}{sql}{line}"));
        succeed(&mut place.command());
        assert_eq!(place.seen().last().map(String::as_str), Some(name));
    }
    place.write("sql = select 1/0\nexception_sleep = 0.01\njob_name = nightly\n");
    let _job = Running::start(&mut place.command());
    wait_for("the failure", || place.log().contains("Job nightly failed"));
}

#[test]
fn keys_are_found_in_any_case_with_either_sign_and_in_default() {
    let place = Place::create();
    let text = format!(
        "\u{feff}; all of it\r\n[DEFAULT]\r\nDB: dbname=%(NAME)s\r\nname = {}\r\n[other]\r\nsql = none\r\n\
         [run_sql]\r\nLoop_Delay:-1\r\nSQL = insert into seen (what)\r\n  # not now\r\n  values ('a=b;c#d:%%')\r\n",
        place.database.name()
    );
    fs::write(place.path("job.ini"), text).expect("writable");
    let output = succeed(&mut place.command());
    assert!(!errors(&output).contains("WARNING"), "{}", errors(&output));
    assert_eq!(place.seen(), ["a=b;c#d:%"]);
}

#[test]
fn a_switch_wins_over_the_file_and_the_file_over_the_default() {
    let place = Place::create();
    place.write(&format!("{}logfile2 = x", write("file")));
    let given = " SQL = insert into seen (what) values ('%(job_name)s=%(new)s') ";
    let mut program = place.command();
    succeed(program.args([
        "--set",
        given,
        "--set",
        "new=1=2",
        "--set",
        "loop_delay=5",
        "--set",
        "Loop_delay=-1",
    ]));
    assert_eq!(place.seen(), ["job=1=2"]);
}

#[test]
fn the_delay_decides_whether_there_is_a_next_round() {
    let place = Place::create();
    for delay in ["-1", "0", "-0.5", "0.0"] {
        place.write(&format!("{}loop_delay = {delay}\n", write(delay)));
        succeed(&mut place.command());
        assert_eq!(place.seen().last().map(String::as_str), Some(delay));
    }
    assert_eq!(place.seen().len(), 4, "one round each");
    place.write(&format!("{}loop_delay = 0.01\n", write("on")));
    let mut job = Running::start(&mut place.command());
    wait_for("many rounds", || place.seen().len() >= 10);
    job.signal(Signal::SIGINT);
    assert_eq!(job.wait(), Some(0));
}

#[test]
fn a_long_delay_ends_when_the_job_is_stopped() {
    let place = Place::create();
    place.write(&format!("{}loop_delay = 1_000_000\n", write("one")));
    let mut job = Running::start(&mut place.command());
    wait_for("the statistics", || place.log().contains("{count: 1"));
    job.signal(Signal::SIGINT);
    assert_eq!(job.wait(), Some(0));
    assert_eq!(place.seen().len(), 1);
}

/// Runs a job with a lifetime until `enough` of the backends that it writes down.
fn backends(place: &Place, lifetime: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    place.database.client().batch_execute("truncate seen").expect("emptied");
    place.write(&format!("{BACKEND}{lifetime}\n"));
    let _job = Running::start(&mut place.command());
    let mut seen = Vec::new();
    wait_for("the rounds", || {
        seen = place.seen();
        enough(&seen)
    });
    seen
}

#[test]
fn connections_live_as_long_as_the_file_says() {
    let place = Place::create();
    let count = |seen: &[String]| seen.iter().collect::<BTreeSet<_>>().len();
    let kept = backends(&place, "", |seen| seen.len() >= 20);
    assert_eq!(count(&kept), 1, "the default is longer than this test");
    let each = backends(&place, "connection_lifetime = 0", |seen| seen.len() >= 5);
    assert_eq!(count(&each), each.len(), "{each:?}");
    // Rounds share one connection, and a closed one is not used again.
    let renewed =
        backends(&place, "connection_lifetime = 0.2", |seen| count(seen) >= 3 && seen.len() > count(seen));
    let mut runs = renewed.clone();
    runs.dedup();
    assert_eq!(runs.len(), count(&renewed), "{runs:?}");
}

#[test]
fn a_failed_round_is_followed_by_a_sleep_and_the_next() {
    let place = Place::create();
    // A sequence advances although the statement fails.
    place.database.client().batch_execute("create sequence tries").expect("created");
    place.write("sql = select 1 / (0 * nextval('tries'))\nexception_sleep = 0.01\n");
    let mut job = Running::start(&mut place.command());
    let mut client = place.database.client();
    wait_for("three tries", || {
        let row = client.query_one("select last_value from tries", &[]).expect("readable");
        row.get::<_, i64>(0) >= 3
    });
    assert!(place.log().contains("Job job failed"));
    assert!(job.is_running());
    drop(job);

    fs::remove_file(place.path("job.log")).expect("there");
    place.write("sql = select 1/0\nexception_sleep = 1e6\n");
    let mut job = Running::start(&mut place.command());
    wait_for("the failure", || place.log().contains("Job job failed"));
    job.signal(Signal::SIGINT);
    assert_eq!(job.wait(), Some(0));
    assert_eq!(place.log().matches("Job job failed").count(), 1);

    for delay in ["0", "-1"] {
        place.write(&format!("sql = select 1/0\nexception_sleep = 1e6\nloop_delay = {delay}\n"));
        assert_eq!(place.command().output().expect("starts").status.code(), Some(1));
    }
}

#[test]
fn a_tilde_in_pidfile_and_logfile_is_the_home_folder() {
    let place = Place::create();
    place.write(&write("x"));
    let mut program = place.command();
    program.args(["--set", "pidfile=~/run/%(job_name)s.pid", "--set", "logfile=~/log//%(job_name)s.log"]);
    let mut job = Running::start(program.env("HOME", place.folder.path()));
    place.wait_seen("x");
    let pid = fs::read_to_string(place.path("run/job.pid")).expect("written");
    assert_eq!(pid.trim(), job.pid().to_string());
    assert!(place.path("log/job.log").exists() && !place.path("~").exists());
    job.signal(Signal::SIGINT);
    assert_eq!(job.wait(), Some(0));
    assert!(!place.path("run/job.pid").exists());
}

#[test]
fn an_empty_pidfile_and_logfile_are_none() {
    let place = Place::create();
    place.write(&format!("{ONCE}{}pidfile =\n", write("x")));
    succeed(place.command().args(["--set", "logfile="]));
    assert_eq!(fs::read_dir(place.folder.path()).expect("there").count(), 1, "only the config file");
}

#[test]
fn the_size_of_the_log_may_have_a_unit() {
    let place = Place::create();
    place.write(&format!("{}loop_delay = 0.001\nlog_size = 1 kB\nlog_count = 2", write("x")));
    let _job = Running::start(&mut place.command());
    wait_for("two old files", || place.path("job.log.2").exists());
    let size = fs::metadata(place.path("job.log.2")).expect("there").len();
    assert!(size > 512 && size <= 1024, "{size}");
}
