//! The work loop of a program: rounds that fail, wait, wake and end.

use std::fs;
use std::time::Instant;

use nix::sys::signal::Signal;
use postgres::Client;

use crate::support::jobs::TestJob;
use crate::support::programs::{Running, errors, succeed};
use crate::support::server::Server;
use crate::support::wait_for;

/// A statement that counts its rounds, and fails while the table `state` says so.
const WORK: &str = "
    create sequence rounds;
    create table state as select true as broken;
    create function work() returns void language plpgsql as $$
    begin
        perform nextval('rounds');
        if (select broken from state) then
            raise exception 'out of order';
        end if;
    end $$";

fn rounds(client: &mut Client) -> i64 {
    client.query_one("select last_value from rounds", &[]).expect("readable").get(0)
}

/// Returns a job whose rounds fail until `state` says otherwise.
fn broken_job(more: &str) -> (TestJob, Client) {
    let job = TestJob::sql("select work()");
    job.write_ini(&format!("sql = select work()\n{more}"));
    let mut client = job.client();
    client.batch_execute(WORK).expect("created");
    (job, client)
}

fn mend(client: &mut Client) {
    client.batch_execute("update state set broken = false").expect("updated");
}

#[test]
fn a_repeating_error_and_its_end_are_logged_once_a_minute() {
    let (job, mut client) = broken_job("");
    let begin = Instant::now();
    let running = job.start(&[]);
    wait_for("many failed rounds", || rounds(&mut client) > 200);
    mend(&mut client);
    job.wait_for("works again after");
    let minutes = usize::try_from(begin.elapsed().as_secs() / 60).expect("few");
    assert!((1..=1 + minutes).contains(&job.count("out of order")), "{}", job.log());
    let line = job.log().lines().find(|line| line.contains("out of order")).expect("received").to_owned();
    for part in ["ERROR Job job failed: db (database `job_", "`select work()`", "ERROR P0001: out of order"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    assert_eq!(job.count("INFO Job job works again after"), 1);
    drop(running);
}

#[test]
fn quiet_errors_are_warnings_while_they_are_young() {
    let received = |more: &str| {
        let (job, mut client) = broken_job(more);
        let _running = job.start(&[]);
        wait_for("a failed round", || rounds(&mut client) > 5);
        job.wait_for("out of order");
        (job.count("WARNING Job job failed"), job.count("ERROR Job job failed"), job.log())
    };
    for kinds in ["ALL", "P0001", "P0", "DataError, InternalError"] {
        let (warnings, errors, log) = received(&format!("exception_quiet = {kinds}\n"));
        assert!(warnings == 1 && errors == 0, "{kinds}: {log}");
    }
    for more in ["exception_quiet = 40, DataError\n", "exception_quiet = ALL\nexception_grace = 0\n"] {
        let (warnings, errors, log) = received(more);
        assert!(warnings == 0 && errors == 1, "{more}: {log}");
    }
    let (.., log) = received("exception_quiet = UniqueViolation\n");
    assert!(log.contains("WARNING exception_quiet: unknown kind of error `UniqueViolation`"));
}

/// Fails until an error is not young any more, then works, then fails again; returns the first line after that.
fn first_line_of_the_second_trouble(reset: &str) -> String {
    let (job, mut client) =
        broken_job(&format!("exception_quiet = ALL\nexception_grace = 0.1\nexception_reset = {reset}\n"));
    // Every line has other letters, since numbers alone do not make it another one, so that all of them are logged.
    let numbered = WORK.split_once("create function").expect("there is one").1;
    let numbered = numbered.replace(
        "'out of order'",
        "'out of order %', translate(currval('rounds')::text, '0123456789', 'abcdefghij')",
    );
    client.batch_execute(&format!("create or replace function{numbered}")).expect("replaced");
    let _running = job.start(&[]);
    job.wait_for("WARNING Job job failed");
    job.wait_for("ERROR Job job failed");
    mend(&mut client);
    job.wait_for("works again");
    client.batch_execute("update state set broken = true").expect("updated");
    let after = || {
        let log = job.log();
        let (_, after) = log.split_once("works again").expect("received");
        after.lines().find(|line| line.contains("out of order")).map(str::to_owned)
    };
    wait_for("the second trouble", || after().is_some());
    after().expect("just seen")
}

#[test]
fn exception_reset_makes_an_error_young_again() {
    assert!(first_line_of_the_second_trouble("0").contains("WARNING Job job failed"));
    assert!(first_line_of_the_second_trouble("900").contains("ERROR Job job failed"));
}

#[test]
fn an_outage_costs_neither_memory_nor_time_and_ends_by_itself() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let job = TestJob::sql_at(&server.conninfo("postgres"), "select 1");
    let running = job.start(&["-v"]);
    job.wait_for("{count: 1}");
    server.stop();
    let failed = |count: usize| wait_for("failed rounds", || job.count("failed again") >= count);
    failed(50);
    let (memory, time, begin) = (resident(&running), cpu_ticks(&running), Instant::now());
    failed(250);
    let (grown, used) = (resident(&running).saturating_sub(memory), cpu_ticks(&running) - time);
    // A tick is 10 ms; a loop that never slept would use all of the time.
    let share = used as f64 / 100.0 / begin.elapsed().as_secs_f64();
    assert!(grown < 1024, "{grown} kB more after 200 failed rounds");
    assert!(share < 0.5, "{share} of a core");
    assert_eq!(job.count(" ERROR "), job.count("ERROR Job job failed: "), "{}", job.log());
    server.start_again();
    job.wait_for("works again after");
    drop(running);
}

/// Returns the memory of a process, in kB.
pub(crate) fn resident(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

/// Returns the processor time that a process has used, in ticks of 10 ms.
fn cpu_ticks(running: &Running) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid())).expect("it runs");
    let fields: Vec<u64> = stat
        .rsplit_once(") ")
        .expect("a name in parentheses")
        .1
        .split(' ')
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    fields[11] + fields[12]
}

#[test]
fn a_panic_is_a_failed_round_reported_in_one_line() {
    let job = TestJob::of("moody", "moods = panic fail work\n");
    job.client().batch_execute("create table note (name text, pid int)").expect("created");
    let output = job.command(&["--set", "loop_delay=0.01"]).stderr(std::process::Stdio::piped()).spawn();
    let child = output.expect("starts");
    let mut client = job.client();
    wait_for("work", || count(&mut client, "note") > 0);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid")),
        Signal::SIGINT,
    )
    .expect("runs");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<_> = job.log().lines().map(str::to_owned).collect();
    let failed: Vec<_> = lines.iter().filter(|line| line.contains("panic")).collect();
    assert_eq!(failed.len(), 1, "{lines:#?}");
    assert!(failed[0].contains("Job job failed: panic at tests/programs/moody.rs:"), "{}", failed[0]);
    assert!(failed[0].ends_with(": oh dear"));
    assert!(errors(&output).lines().all(|line| lines.iter().any(|logged| logged == line)));
    assert_eq!(job.count("shut down after"), 1);
}

fn count(client: &mut Client, table: &str) -> i64 {
    client.query_one(&format!("select count(*) from {table}"), &[]).expect("readable").get(0)
}

#[test]
fn wrong_usage_ends_the_loop_and_so_does_a_failure_where_there_is_no_next_round() {
    let status = |moods: &str, delay: &str| {
        let job = TestJob::of("moody", &format!("moods = {moods}\nloop_delay = {delay}\n"));
        let output = job.command(&[]).output().expect("starts");
        assert_eq!(errors(&output).lines().filter(|line| line.contains(" ERROR ")).count(), 1);
        assert!(!job.path().join("job.pid").exists());
        output.status.code()
    };
    assert_eq!(status("fine usage", "0.01"), Some(2));
    assert_eq!(status("fail fine", "-1"), Some(1));
    assert_eq!(status("fail fine", "0"), Some(1));
    assert_eq!(status("panic fine", "0"), Some(1));
}

#[test]
fn a_notification_ends_the_wait() {
    let job = TestJob::sql("");
    job.write_ini("sql = insert into seen values (default)\nlisten = some \"news\"\nloop_delay = 3600\n");
    let mut client = job.client();
    client.batch_execute("create table seen (id serial)").expect("created");
    let _running = job.start(&[]);
    let listening =
        "pg_stat_activity where datname = current_database() and query like 'listen%' and state = 'idle'";
    wait_for("the listener", || count(&mut client, listening) == 1);
    // Notifications from before it listened are lost, so there is a round for them.
    wait_for("the rounds of the start", || count(&mut client, "seen") == 2);
    for round in 3..6 {
        client.batch_execute("notify \"some \"\"news\"\"\"").expect("sent");
        wait_for("a round", || count(&mut client, "seen") == round);
    }

    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and query like 'listen%'";
    client.batch_execute(kill).expect("terminated");
    job.wait_for("listening again");
    wait_for("the round after it listens again", || count(&mut client, "seen") == 6);
    client.batch_execute("notify \"some \"\"news\"\"\"").expect("sent");
    wait_for("a round", || count(&mut client, "seen") == 7);
}

#[test]
fn a_reload_changes_the_channels() {
    let job = TestJob::sql("");
    let ini = |channel: &str| {
        job.write_ini(&format!(
            "sql = insert into seen values (default)\nlisten = {channel}\nloop_delay = 3600\n"
        ));
    };
    ini("old");
    let mut client = job.client();
    client.batch_execute("create table seen (id serial)").expect("created");
    let running = job.start(&[]);
    let on = |channel: &str| {
        format!("pg_stat_activity where datname = current_database() and query like 'listen \"{channel}\"%'")
    };
    wait_for("the listener", || count(&mut client, &on("old")) == 1);
    ini("new");
    running.signal(Signal::SIGHUP);
    wait_for("the other listener", || count(&mut client, &on("new")) == 1);
    wait_for("the end of the first", || count(&mut client, &on("old")) == 0);
    job.write_ini("sql = %(broken\n");
    running.signal(Signal::SIGHUP);
    job.wait_for("Config not reloaded");
    assert_eq!(count(&mut client, &on("new")), 1);
}

#[test]
fn delays_decide_when_the_program_ends() {
    let rows = |delay: &str| {
        let job = TestJob::sql("");
        job.write_ini(&format!("sql = insert into seen values (default)\nloop_delay = {delay}\n"));
        let mut client = job.client();
        client.batch_execute("create table seen (id serial)").expect("created");
        succeed(&mut job.command(&[]));
        count(&mut client, "seen")
    };
    assert_eq!(rows("0"), 1);
    assert_eq!(rows("-1"), 1);
}
