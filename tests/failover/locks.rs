//! Locks that make one of two processes active: after a failover they are taken at the new primary.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use pgq::ticker::TickerRole;
use pgq::{Batch, BoxError, Consumer, Event, Outcome, Settings, Ticker, Worker};

use super::*;

const QUEUE: &str = "queue";
const SHORT: Duration = Duration::from_millis(50);

/// A queue on a primary that has a standby.
struct Cluster {
    primary: Server,
    standby: Server,
    conninfo: String,
}

impl Cluster {
    fn start() -> Cluster {
        let primary = server();
        primary.create_database("queues");
        let mut client = primary.client("queues");
        queues::install(&mut client);
        queues::create(&mut client, QUEUE);
        let standby = standby_of(&primary);
        let conninfo = format!("{} dbname=queues", writable(&[&primary, &standby]));
        Cluster { primary, standby, conninfo }
    }

    /// Returns a client of the new primary.
    fn fail_over(&self) -> Client {
        self.primary.stop();
        promote(&self.standby);
        self.standby.client("queues")
    }
}

/// Returns how many sessions hold a lock such as that of a consumer or a leader. Standbys share one.
fn holders(client: &mut Client) -> i64 {
    let count = "select count(distinct pid) from pg_locks where locktype = 'advisory' and granted \
                 and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database())";
    client.query_one(count, &[]).expect("readable").get(0)
}

#[test]
fn one_of_two_tickers_ticks_the_new_primary() {
    let cluster = Cluster::start();
    let tickers = ["a", "b"].map(|name| {
        Ticker::new(&cluster.conninfo).name(name).exception_sleep(SHORT).spawn().expect("the server is up")
    });
    let have =
        |role: TickerRole| tickers.iter().filter(|ticker| ticker.state().status().role == role).count();
    let share = || (have(TickerRole::Ticking), have(TickerRole::Standby)) == (1, 1);
    wait_for("one ticker and one that stands by", share);

    let mut client = cluster.fail_over();
    let last = "select max(tick_id) from pgq.tick";
    let before: i64 = client.query_one(last, &[]).expect("readable").get(0);
    queues::insert(&mut client, QUEUE, 0, 10);
    wait_for("a tick on the new primary", || {
        client.query_one(last, &[]).expect("readable").get::<_, i64>(0) > before
    });
    wait_for("one ticker and one that stands by", share);
    // A tick takes a lock for a moment.
    wait_for("one lock", || holders(&mut client) == 1);
}

#[test]
fn a_ticker_on_a_standby_waits_for_its_promotion() {
    let cluster = Cluster::start();
    let conninfo = cluster.standby.conninfo("queues");
    let ticker = Ticker::new(&conninfo).exception_sleep(SHORT).spawn().expect("the standby is up");
    wait_for("the ticker to stand by", || ticker.state().status().role == TickerRole::Standby);
    let ticking = Ticker::new(&cluster.primary.conninfo("queues")).spawn().expect("the primary is up");
    wait_for("a ticker on the primary", || ticking.state().is_ticking());
    drop(ticking);

    let mut client = cluster.fail_over();
    wait_for("the ticker to tick", || ticker.state().is_ticking());
    let last = "select max(tick_id) from pgq.tick";
    let before: i64 = client.query_one(last, &[]).expect("readable").get(0);
    queues::insert(&mut client, QUEUE, 0, 1_000);
    wait_for("a tick", || client.query_one(last, &[]).expect("readable").get::<_, i64>(0) > before);
}

/// Returns the handled events, by process.
struct Reporter(char, Sender<(char, String)>);

impl Consumer for Reporter {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        self.1.send((self.0, event.data().unwrap_or_default().to_owned()))?;
        Ok(Outcome::Done)
    }
}

#[test]
fn one_of_two_consumers_continues_at_the_new_primary() {
    let cluster = Cluster::start();
    let (report, received) = channel();
    let workers = ['a', 'b'].map(|name| {
        let mut settings = Settings::new(QUEUE, "consumer");
        settings.autocommit = true;
        let worker = Worker::with_settings(&cluster.conninfo, settings).loop_delay(SHORT);
        worker.exception_sleep(SHORT).spawn(Reporter(name, report.clone())).expect("the server is up")
    });
    let next = || received.recv_timeout(Duration::from_secs(60)).expect("an event");
    let mut client = cluster.primary.client("queues");
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::tick(&mut client, QUEUE);
    assert_eq!(next().1, "event 0");
    wait_for("the batch to be finished", || queues::position(&mut client, QUEUE, "consumer").1.is_none());
    drop(client);

    let mut client = cluster.fail_over();
    wait_for("a consumer at the new primary", || holders(&mut client) == 1);
    queues::insert(&mut client, QUEUE, 1, 100);
    let tick = queues::tick(&mut client, QUEUE);
    wait_for("the batch", || queues::position(&mut client, QUEUE, "consumer") == (tick, None));
    drop(workers);
    let handled: Vec<(char, String)> = received.try_iter().collect();
    let expected: Vec<String> = (1..=100).map(|n| format!("event {n}")).collect();
    assert_eq!(handled.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>(), expected);
    assert!(handled.windows(2).all(|pair| pair[0].0 == pair[1].0), "{handled:?}");
}
