//! Many databases of a cluster, with a file of pgqd.

use super::*;
use crate::support::queues;

/// Writes the settings of a pgqd file, for a server.
pub(super) fn lines(server: &Server, more: &str) -> String {
    format!(
        "base_connstr = host={} port={} user=postgres\ninitial_database = template1\nsyslog = 0\n\
         syslog_ident = x\ncheck_period = 0.2\nticker_period = 0.02\nretry_period = 0.05\nmaint_period = 0.05\n{more}",
        server.socket_dir().display(),
        server.port()
    )
}

/// Creates a database with a queue.
pub(super) fn create_database(server: &Server, name: &str) -> Client {
    server.create_database(name);
    let mut client = server.client(name);
    queues::install(&mut client);
    create_eager(&mut client, "q");
    client
}

fn start(server: &Server, job: &Job) -> Running {
    Running::start(&mut job.command_on(server, &["ticker"]))
}

#[test]
fn databases_are_created_and_dropped_while_the_ticker_runs() {
    let server = server();
    let mut first = create_database(&server, "first");
    server.create_database("other");
    // A file of pgqd has a section of its own, in which it sets little or nothing.
    let job = Job::of("pgqd", "check_period = 0.2\nticker_period = 0.02\n");
    let _ticker = start(&server, &job);
    wait_for_ticks(&mut first, "q", 3);
    let mut second = create_database(&server, "it's the \"second\"");
    wait_for_ticks(&mut second, "q", 3);
    drop(second);
    server.drop_database("it's the \"second\"").expect("dropped");
    job.wait_for("database `it's the \"second\"`: gone or closed to connections");
    queues::uninstall(&mut first);
    job.wait_for("database `first`: PgQ is gone");
    queues::install(&mut first);
    create_eager(&mut first, "q");
    wait_for_ticks(&mut first, "q", 3);
    assert!(!job.log().contains("`other`"), "{}", job.log());
}

#[test]
fn only_those_of_the_list_and_one_that_fails_does_not_stop_the_others() {
    let server = server();
    let mut clients = ["a", "b", "c"].map(|name| create_database(&server, name));
    let before = last_tick(&mut clients[2], "q");
    let job = Job::of("pgqd", &lines(&server, "database_list = a, b, missing, postgres\n"));
    let _ticker = start(&server, &job);
    job.wait_for("database `missing`:");
    job.wait_for("database `postgres`: PgQ is not installed");
    for client in &mut clients[..2] {
        wait_for_ticks(client, "q", 3);
    }
    clients[0].batch_execute("alter table pgq.tick rename to away").expect("renamed");
    job.wait_for("Job job/a failed");
    wait_for_ticks(&mut clients[1], "q", 20);
    clients[0].batch_execute("alter table pgq.away rename to tick").expect("renamed");
    wait_for_ticks(&mut clients[0], "q", 3);
    assert_eq!(last_tick(&mut clients[2], "q"), before);
}

#[test]
fn a_database_that_is_locked_is_named_and_the_others_tick() {
    let server = server();
    let mut clients = ["a", "b"].map(|name| create_database(&server, name));
    let job = Job::of("pgqd", &lines(&server, ""));
    let _ticker = start(&server, &job);
    for client in &mut clients {
        wait_for_ticks(client, "q", 3);
    }
    let mut holder = server.client("a");
    let mut hold = holder.transaction().expect("begin");
    hold.batch_execute("lock table pgq.queue").expect("locked");
    wait_for("the complaint", || {
        let log = job.log();
        let complaint = |line: &&str| line.contains("Job job/a failed") && line.contains("database `a`");
        log.lines().find(complaint).is_some_and(|line| line.contains("55P03"))
    });
    wait_for_ticks(&mut clients[1], "q", 20);
    hold.rollback().expect("rolled back");
    wait_for_ticks(&mut clients[0], "q", 3);
    let sequence: String =
        clients[0].query_one("select queue_tick_seq from pgq.queue", &[]).expect("there").get(0);
    clients[0].batch_execute(&format!("alter sequence {sequence} rename to away")).expect("renamed");
    wait_for("the queue to be named", || {
        job.log().lines().any(|line| line.contains("database `a`") && line.contains("cannot tick queue `q`"))
    });
}

#[test]
fn a_reload_changes_the_list() {
    let server = server();
    let mut clients = ["a", "b"].map(|name| create_database(&server, name));
    let job = Job::of("pgqd", &lines(&server, "database_list = a\n"));
    let _ticker = start(&server, &job);
    wait_for_ticks(&mut clients[0], "q", 3);
    job.write("pgqd", &lines(&server, "database_list = b\n"));
    crate::support::programs::succeed(&mut job.command_on(&server, &["-r"]));
    job.wait_for("Config reloaded");
    wait_for_ticks(&mut clients[1], "q", 3);
    let stopped = last_tick(&mut clients[0], "q");
    wait_for_ticks(&mut clients[1], "q", 10);
    assert_eq!(last_tick(&mut clients[0], "q"), stopped);
}
