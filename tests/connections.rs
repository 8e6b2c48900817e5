//! The connections that a program keeps from round to round.

use nix::sys::signal::Signal;
use postgres::Client;

use crate::rounds::resident;
use crate::support::amount::pick;
use crate::support::jobs::TestJob;
use crate::support::wait_for;

const NOTE: &str = "create table note (name text, pid int)";

fn count(client: &mut Client, what: &str) -> i64 {
    client.query_one(&format!("select count(*) from {what}"), &[]).expect("readable").get(0)
}

#[test]
fn the_hook_is_called_for_every_new_connection() {
    let job = TestJob::of("moody", "moods = work\n");
    let mut client = job.client();
    client.batch_execute(NOTE).expect("created");
    let _running = job.start(&[]);
    wait_for("work", || count(&mut client, "note") > 0);
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where application_name = 'hooked' and datname = current_database()";
    client.batch_execute(kill).expect("terminated");
    let pids = "(select distinct pid from note) pids";
    wait_for("work on another connection", || count(&mut client, pids) > 1);
    assert_eq!(count(&mut client, "note where name <> 'hooked'"), 0);
}

#[test]
fn a_reload_without_a_hook_takes_new_connections() {
    let job = TestJob::of("moody", "moods = work\n");
    let mut client = job.client();
    client.batch_execute("create table note (name text, pid int)").expect("created");
    let running = job.start(&[]);
    wait_for("work", || count(&mut client, "note where name = 'hooked'") > 0);
    job.write_ini("moods = work\nhook =\n");
    running.signal(Signal::SIGHUP);
    wait_for("work on another connection", || count(&mut client, "note where name = 'job'") > 0);
}

#[test]
fn a_refused_reload_leaves_no_connection_that_was_set_up_for_it() {
    let job = TestJob::of("moody", "moods = work\n");
    let mut client = job.client();
    client.batch_execute(NOTE).expect("created");
    let running = job.start(&[]);
    wait_for("work", || count(&mut client, "note") > 0);
    job.write_ini("moods = refuse\nhook = set application_name = 'other'\n");
    running.signal(Signal::SIGHUP);
    job.wait_for("Config not reloaded, keeping the old one: not today");
    let before = count(&mut client, "note");
    wait_for("more work", || count(&mut client, "note") > before + 2);
    assert_eq!(count(&mut client, "note where name <> 'hooked'"), 0);
}

#[test]
fn a_kill_ends_a_connection_that_is_being_set_up() {
    let job = TestJob::of("moody", "moods = work\nhook = select pg_sleep(3600)\n");
    let mut client = job.client();
    let busy = "pg_stat_activity where datname = current_database() and query like 'select pg_sleep%'";
    let mut running = job.start(&[]);
    wait_for("the hook", || count(&mut client, &format!("{busy} and state = 'active'")) == 1);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait(), Some(0));
    wait_for("its end on the server", || count(&mut client, busy) == 0);
    assert_eq!(job.count("does not end"), 0, "{}", job.log());
}

#[test]
fn a_connection_that_no_round_uses_is_closed_when_it_is_old() {
    let job = TestJob::of("moody", "moods = work fine\nconnection_lifetime = 0.2\n");
    let mut client = job.client();
    client.batch_execute(NOTE).expect("created");
    let _running = job.start(&[]);
    wait_for("work", || count(&mut client, "note") == 1);
    let idle = "pg_stat_activity where datname = current_database() and application_name = 'hooked'";
    wait_for("no connection", || count(&mut client, idle) == 0);
}

#[test]
fn failed_connections_leave_nothing_behind() {
    let job = TestJob::sql_at("host=/nowhere dbname=x user=x", "select 1");
    let running = job.start(&["-v", "--set", "exception_sleep=0", "--set", "log_size=1G"]);
    let failed = |count: usize| wait_for("failed rounds", || job.count("failed again") >= count);
    failed(200);
    let before = resident(&running);
    let rounds = pick(1_500, 6_000);
    failed(200 + rounds);
    let grown = resident(&running).saturating_sub(before);
    assert!(grown < 1024, "{grown} kB more after {rounds} failed rounds");
}
