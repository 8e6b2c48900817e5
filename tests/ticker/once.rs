//! A single round: `loop_delay = 0`.

use fallible_iterator::FallibleIterator;

use super::cluster::{create_database, lines};
use super::*;
use crate::support::programs::{errors, succeed};
use crate::support::queues;

/// Creates the job of a single round over all databases.
fn once(server: &Server) -> Job {
    Job::of("pgqd", &lines(server, "").replace("ticker_period = 0.02", "ticker_period = 0"))
}

#[test]
fn a_database_that_fails_does_not_stop_the_others() {
    let server = server();
    let [mut bad, mut good] = ["a", "b"].map(|name| create_database(&server, name));
    bad.batch_execute("alter table pgq.tick rename to away").expect("renamed");
    queues::insert(&mut good, "q", 0, 1);
    good.batch_execute("listen \"pgq:q\"").expect("listening");
    let before = last_tick(&mut good, "q");
    let job = once(&server);
    let output = job.command_on(&server, &["ticker"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("database `a`"), "{}", errors(&output));
    assert_eq!(last_tick(&mut good, "q"), before + 1);
    let received = good.notifications().iter().next().expect("readable").expect("there was a notification");
    assert_eq!(received.payload(), (before + 1).to_string());
}

#[test]
fn a_retry_event_is_in_a_batch_after_the_round() {
    let server = server();
    let mut client = create_database(&server, "a");
    retries::schedule_retry(&mut client, "q");
    // Without a tick of its own, the event would wait for the next idle period.
    for setting in ["ticker_max_lag", "ticker_idle_period"] {
        client.execute("select pgq.set_queue_config('q', $1, '1 hour')", &[&setting]).expect("set");
    }
    succeed(&mut once(&server).command_on(&server, &["ticker"]));
    let count = "select count(*) from pgq.get_batch_events(pgq.next_batch('q', 'reader'))";
    assert_eq!(client.query_one(count, &[]).expect("a batch").get::<_, i64>(0), 1);
}

#[test]
fn one_of_any_name_may_be_without_pgq() {
    let server = server();
    let mut client = create_database(&server, "a");
    server.create_database("db");
    let before = last_tick(&mut client, "q");
    let job = once(&server);
    succeed(&mut job.command_on(&server, &["ticker"]));
    assert!(last_tick(&mut client, "q") > before);
}
