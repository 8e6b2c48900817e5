//! Stopping and reloading while a vacuum does not end.

use nix::sys::signal::Signal;

use super::*;
use crate::support::programs::succeed;
use crate::support::queues;

const VACUUMS: &str =
    "select count(*) from pg_stat_activity where query ilike 'vacuum%' and state = 'active'";

/// Returns a server whose maintenance has a table to vacuum.
fn server_that_vacuums() -> Server {
    let server = Server::builder().setting("autovacuum", "off").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create_eager(&mut client, "q");
    server
}

fn vacuums(client: &mut Client) -> i64 {
    client.query_one(VACUUMS, &[]).expect("readable").get(0)
}

/// Starts a ticker whose vacuum cannot end, and does something with it.
fn amid_a_vacuum(act: impl FnOnce(&Job, &mut Running, &mut Client)) {
    let server = server_that_vacuums();
    let (mut client, mut holder) = (server.client("postgres"), server.client("postgres"));
    let mut hold = holder.transaction().expect("begin");
    hold.batch_execute("lock table pgq.subscription in share update exclusive mode").expect("locked");
    let job = Job::new(&server.conninfo("postgres"), "");
    let mut ticker = job.start();
    wait_for("a vacuum that waits", || vacuums(&mut client) == 1);
    wait_for_ticks(&mut client, "q", 10);
    act(&job, &mut ticker, &mut client);
    wait_for("the vacuum to end", || vacuums(&mut client) == 0);
}

#[test]
fn rotation_and_retries_do_not_wait_for_it() {
    amid_a_vacuum(|_, ticker, client| {
        client
            .batch_execute(
                "select pgq.set_queue_config('q', 'rotation_period', '0'); \
                 select pgq.register_consumer('q', 'c'); \
                 select pgq.insert_event('q', 't', 'd')",
            )
            .expect("set");
        wait_for_ticks(client, "q", 2);
        let batch: Option<i64> =
            client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("answers").get(0);
        client
            .execute("select pgq.event_retry($1, ev_id, 0) from pgq.get_batch_events($1)", &[&batch])
            .expect("scheduled");
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        wait_for("the redelivery", || {
            client.query_one("select count(*) = 0 from pgq.retry_queue", &[]).expect("readable").get(0)
        });
        client.execute("select pgq.unregister_consumer('q', 'c')", &[]).expect("unregistered");
        let select = "select queue_cur_table from pgq.queue";
        let before: i32 = client.query_one(select, &[]).expect("there").get(0);
        wait_for("a rotation", || client.query_one(select, &[]).expect("there").get::<_, i32>(0) != before);
        assert_eq!(vacuums(client), 1);
        ticker.signal(Signal::SIGINT);
        assert_eq!(ticker.wait(), Some(0));
    });
}

#[test]
fn a_stop_cancels_it() {
    amid_a_vacuum(|job, ticker, _| {
        succeed(&mut job.command(&["-s"]));
        assert_eq!(ticker.wait(), Some(0));
        assert!(!job.folder.path().join("pid").exists());
    });
}

#[test]
fn a_kill_cancels_it() {
    amid_a_vacuum(|job, ticker, _| {
        ticker.signal(Signal::SIGTERM);
        assert_eq!(ticker.wait(), Some(0));
        assert!(!job.log().contains("does not end"), "{}", job.log());
    });
}

#[test]
fn a_reload_does_not_wait_for_it() {
    amid_a_vacuum(|job, ticker, client| {
        succeed(&mut job.command(&["-r"]));
        job.wait_for("Config reloaded");
        // With the same settings the ticker continues.
        assert_eq!(job.log().matches("ticking").count(), 1, "{}", job.log());
        job.write("pgqadm", &format!("db = {}\nloop_delay = 0.03\n", db(job)));
        succeed(&mut job.command(&["-r"]));
        wait_for("the second reload", || job.log().matches("Config reloaded").count() == 2);
        wait_for("a new ticker", || job.log().matches("ticking").count() == 2);
        wait_for_ticks(client, "q", 3);
        assert!(!job.log().contains("standing by"), "{}", job.log());
        ticker.signal(Signal::SIGINT);
        assert_eq!(ticker.wait(), Some(0));
    });
}

/// Returns the connection string in a job's file.
fn db(job: &Job) -> String {
    let ini = fs::read_to_string(job.folder.path().join("job.ini")).expect("there");
    let line = ini.lines().find_map(|line| line.strip_prefix("db = "));
    line.expect("it is set").to_owned()
}

#[test]
fn rotation_does_not_wait_for_extra_maintenance() {
    let server = server();
    let (mut client, mut holder) = (server.client("postgres"), server.client("postgres"));
    queues::install(&mut client);
    create_eager(&mut client, "q");
    client
        .batch_execute(
            "create function public.long(text) returns integer language sql as \
                 'select pg_advisory_xact_lock(1); select 0'; \
             update pgq.queue set queue_extra_maint = '{public.long}'; \
             select pgq.set_queue_config('q', 'rotation_period', '0')",
        )
        .expect("set");
    let mut hold = holder.transaction().expect("begin");
    hold.execute("select pg_advisory_xact_lock(1)", &[]).expect("locked");
    let job = Job::new(&server.conninfo("postgres"), "");
    let mut ticker = job.start();
    wait_for("the function to wait", || {
        let select =
            "select count(*) > 0 from pg_stat_activity where query like '%long%' and wait_event = 'advisory'";
        client.query_one(select, &[]).expect("readable").get(0)
    });
    let select = "select queue_cur_table from pgq.queue";
    let before: i32 = client.query_one(select, &[]).expect("there").get(0);
    wait_for("two rotations", || {
        client.query_one(select, &[]).expect("there").get::<_, i32>(0) == (before + 2) % 3
    });
    ticker.signal(Signal::SIGINT);
    assert_eq!(ticker.wait(), Some(0));
}
