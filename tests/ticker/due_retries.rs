//! Retry events return when they are due, at no cost while there is none.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime};

use pgq::schema::Kind;
use pgq::{Batch, BoxError, Consumer, Event, Outcome, RetryPolicy, Settings, Ticker, Worker};

use super::*;
use crate::support::{queues, templates};

const QUEUE: &str = "q";

/// Fails each time, and reports the time of the tick that has brought the event.
struct Failing(Sender<SystemTime>);

impl Consumer for Failing {
    fn process_event(&mut self, _event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        self.0.send(batch.info().tick_time.into())?;
        Err("not yet".into())
    }
}

#[test]
fn a_retry_returns_when_it_is_due() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = templates::installed(kind, "due");
        pgq::admin::create_queue(&mut client, QUEUE).expect("the queue is new");
        let mut settings = Settings::new(QUEUE, "failing");
        settings.retry_policy = Some(RetryPolicy::exponential(Duration::from_secs(1)).max_retries(3));
        let (reports, received) = channel();
        let worker = Worker::with_settings(&database.conninfo(), settings).spawn(Failing(reports));
        let worker = worker.expect("up");
        let ticker = Ticker::new(&database.conninfo()).spawn().expect("up");
        queues::insert(&mut client, QUEUE, 0, 1);

        let ticks: Vec<SystemTime> =
            (0..4).map(|_| received.recv_timeout(Duration::from_secs(120)).expect("delivered")).collect();
        for (pair, seconds) in ticks.windows(2).zip([1, 2, 4]) {
            let delay = pair[1].duration_since(pair[0]).expect("a later tick");
            // The periodic retries alone take up to 30 seconds, and an idle queue's tick as long again.
            let expected = Duration::from_secs(seconds)..Duration::from_secs(seconds + 10);
            assert!(expected.contains(&delay), "{kind}: {ticks:?}");
        }
        worker.stop();
        ticker.stop();
    }
}

/// Returns how many statements of the log contain a text.
fn statements(server: &Server, text: &str) -> usize {
    server.log().lines().filter(|line| line.contains("LOG:  ") && line.contains(text)).count()
}

#[test]
fn an_idle_ticker_sends_no_statements_for_retries() {
    let server = Server::builder().setting("log_statement", "all").setting("autovacuum", "off").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    server.create_database("idle");
    let mut client = server.client("idle");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, QUEUE);
    let settled = "select pg_catalog.pg_current_snapshot()";
    let ticker = Ticker::new(&server.conninfo("idle")).spawn().expect("up");

    let mut rounds = 0;
    let mut wait_for_rounds = |count| {
        rounds = statements(&server, settled) + count;
        wait_for("rounds", || statements(&server, settled) >= rounds);
    };
    wait_for_rounds(20);
    let before = statements(&server, "ev_retry_after");
    // A read is due after half a second.
    wait_for_rounds(30);
    assert_eq!(statements(&server, "ev_retry_after"), before, "{}", server.log());
    ticker.stop();
}
