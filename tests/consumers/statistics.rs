//! When batches are delivered, and the statistics that a consumer reports.

use std::fs;

use super::*;
use crate::support::programs::{Running, command_on};
use crate::support::wait_for;

#[test]
fn a_batch_is_collected_until_it_has_enough_events_or_time() {
    for pgq in Pgq::ALL {
        let (_database, mut client) = pgq.database();
        subscribe(&mut client, |_| ());
        let next = |client: &mut Client, events: Option<u32>, seconds: f64| {
            let mut settings = Settings::new(QUEUE, CONSUMER);
            settings.collect_events = events;
            settings.collect_interval = Some(Duration::from_secs_f64(seconds));
            Subscription::new(settings).next_batch(client).expect("answers")
        };
        fill(&mut client, 10);
        assert_eq!(next(&mut client, None, 3600.0), None, "too short a time");
        assert_eq!(next(&mut client, Some(100), 3600.0), None, "too few, too short");
        assert!(next(&mut client, Some(5), 3600.0).is_some(), "{pgq:?}: enough events");
        assert!(next(&mut client, None, 0.0).is_some(), "it is open");
    }
}

#[test]
fn an_idle_consumer_reports_its_activity_periodically() {
    let (database, mut client) = Pgq::Own.database();
    client.batch_execute("create table greeting (name text check (name <> 'event 1'))").expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!(
        "[greeter]\ndb = {}\nqueue_name = {QUEUE}\nconsumer_name = {CONSUMER}\nloop_delay = 0.01\n\
         keepalive_stats = 0.02\npgq_retry_delay = 3600\nlogfile = log\n",
        database.conninfo()
    );
    fs::write(folder.path().join("x.ini"), ini).expect("writable");
    let mut greeter = Running::start(command_on(database.server(), "greeter", folder.path()).arg("x.ini"));
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    wait_for("a sign of life", || log().contains("{idle: "));
    fill(&mut client, 3);
    wait_for("the batch", || log().contains("count: 3, ") && log().contains("retry-events: 1"));
    let line = log().lines().find(|line| line.contains("count: 3")).map(str::to_owned).expect("there");
    assert!(line.contains("duration: ") && line.contains("idle: "), "{line}");
    // Batches without events are no reason to be silent.
    for _ in 0..3 {
        let known = log().matches("idle: ").count();
        queues::tick(&mut client, QUEUE);
        wait_for("another report", || log().matches("idle: ").count() > known);
    }
    greeter.kill();
}
