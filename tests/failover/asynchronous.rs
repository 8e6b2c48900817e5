//! Asynchronous consumers, which follow a failover.

use pgq::aio::Worker;

use super::*;
use crate::aio::{self, Applied, CONSUMER, QUEUE};

#[test]
fn an_asynchronous_consumer_continues_when_the_standby_takes_over() {
    let primary = server();
    let mut client = primary.client("postgres");
    queues::install(&mut client);
    aio::prepare(&mut client);
    let standby = standby_of(&primary);
    let conninfo = format!("{} dbname=postgres", writable(&[&standby, &primary]));
    let worker = Worker::new(&conninfo, QUEUE, CONSUMER);
    let health = worker.health();
    let running = aio::Running::start(worker, Applied);
    let mut client = primary.client("postgres");
    aio::insert(&mut client, 1, 100);
    wait_for("the first events", || aio::is_done(&mut client));
    primary.stop();
    let refused = |health: &pgq::consume::Health| health.to_string().contains("the session is read-only");
    wait_for("the worker to notice", || refused(&health.get()));
    promote(&standby);
    let mut client = standby.client("postgres");
    aio::insert(&mut client, 101, 100);
    wait_for("the other events", || aio::is_done(&mut client));
    running.end().expect("stopped");
    assert_eq!(aio::effects(&mut client), aio::expected(1, 200));
}
