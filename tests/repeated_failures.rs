//! Failures that differ only in a number are one failure.

use crate::support::jobs::TestJob;
use crate::support::programs::{Running, command_on};
use crate::support::{output, queues, templates, wait_for};

#[test]
fn a_round_that_fails_with_another_number_each_time_is_logged_once() {
    let job = TestJob::sql("select fail()");
    job.client()
        .batch_execute(
            "create sequence s; create function fail() returns int language plpgsql as
             $$ begin raise exception 'row % of process % at % is no good', nextval('s'), pg_backend_pid(),
                clock_timestamp(); end $$",
        )
        .expect("created");
    let mut running = job.start(&[]);
    let mut client = job.client();
    wait_for("many rounds", || {
        client.query_one("select last_value > 20 from s", &[]).expect("readable").get::<_, bool>(0)
    });
    running.kill();
    assert_eq!(job.count("is no good"), 1, "{}", job.log());
}

#[test]
fn a_queue_that_cannot_be_ticked_is_logged_once() {
    let (database, mut client) = templates::prepared("repeating");
    queues::create(&mut client, "q");
    client.batch_execute("alter table pgq.tick add check (tick_id < 1) not valid").expect("altered");
    pgq::insert_event(&mut client, "q", "t", "1").expect("inserted");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[pgqadm]\ndb = {}\nlogfile = x.log\nloop_delay = 0.05\n", database.conninfo());
    std::fs::write(folder.path().join("adm.ini"), ini).expect("writable");
    let log = || std::fs::read_to_string(folder.path().join("x.log")).unwrap_or_default();
    let mut command = command_on(database.server(), "pgqadm", folder.path());
    let mut ticker = Running::start(command.args(["adm.ini", "ticker"]));
    // Every attempt takes a number from the sequence, committed or not.
    let last = "select last_value from pgq.event_1_tick_seq";
    let mut last = || client.query_one(last, &[]).expect("readable").get::<_, i64>(0);
    let begin = last();
    wait_for("three attempts", || last() > begin + 3);
    ticker.kill();
    let lines = log().lines().filter(|line| line.contains("23514")).count();
    assert_eq!(lines, 1, "{}", log());
    output::keep_logs(folder.path());
}
