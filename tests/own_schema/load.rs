//! Many producers and consumers at once, with ticks and rotation all the while: each consumer gets every event
//! that was committed, once.

mod consumers;
mod maintenance;
mod producers;

use std::collections::BTreeSet;
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgq::schema::Kind;
use postgres::Client;

use self::consumers::{Consumer, Seen};
use crate::support::amount::pick;
use crate::support::server::Server;
use crate::support::{WAIT_LIMIT, queues, wait_for};

const DATABASE: &str = "events";

/// The queues, the first one with the usual three tables, the second one with as few as can be.
const QUEUES: [&str; 2] = ["wide", "tight"];

const PRODUCERS: u64 = 6;

/// How often each queue rotates at least while producers insert.
const ROTATIONS: usize = 3;

/// How long producers insert at least, in seconds, unless `PGQ_LOAD_SECONDS` says otherwise.
const SECONDS: [u64; 2] = [6, 12];

/// The state that all threads share.
struct Load {
    server: Server,
    /// The next event's number, which is its data.
    next: AtomicI64,
    /// No producer begins a transaction after that, if the queues have rotated often enough.
    until: Instant,
    /// The rotations that were seen: the queue, and the transaction that rotated it.
    rotations: Mutex<BTreeSet<(String, i64)>>,
    /// Consumers end when they find nothing more, maintenance at once.
    done: AtomicBool,
    counts: Counts,
}

/// The counts for the report.
#[derive(Default)]
struct Counts {
    committed: AtomicU64,
    prepared: AtomicU64,
    rolled_back: AtomicU64,
    refused: AtomicU64,
    batches: AtomicU64,
    lost_races: AtomicU64,
    refused_maintenance: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Load {
    fn prepare(run: Duration) -> Load {
        let server = Server::builder().setting("max_prepared_transactions", "50").start().expect("a server");
        server.create_database(DATABASE);
        let mut client = server.client(DATABASE);
        queues::install_as(&mut client, Kind::Own);
        client
            .batch_execute(
                "select pgq.create_queue('wide'); \
                 alter table pgq.queue alter queue_ntables set default 2; \
                 select pgq.create_queue('tight'); \
                 update pgq.queue set queue_ticker_max_lag = '0.05 seconds', queue_ticker_max_count = 100, \
                     queue_ticker_idle_period = '0.2 seconds', queue_rotation_period = '0'",
            )
            .expect("created");
        Load {
            server,
            next: AtomicI64::new(1),
            until: Instant::now() + run,
            rotations: Mutex::default(),
            done: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    fn client(&self) -> Client {
        self.server.client(DATABASE)
    }

    /// Whether producers go on: for the time that was asked for, and until every queue has rotated often enough.
    fn lasts(&self) -> bool {
        if Instant::now() < self.until {
            return true;
        }
        let rotating = QUEUES.iter().any(|queue| self.rotations_of(queue) < ROTATIONS);
        assert!(!rotating || Instant::now() < self.until + WAIT_LIMIT, "waited too long for rotations");
        rotating
    }

    fn rotations_of(&self, queue: &str) -> usize {
        self.rotations.lock().expect("rotations").iter().filter(|(name, _)| name == queue).count()
    }

    /// Waits until every consumer has read all that there will be.
    fn wait_until_read(&self) {
        let mut client = self.client();
        let prefixes = client.query("select queue_data_pfx from pgq.queue", &[]).expect("readable");
        let events =
            prefixes.iter().map(|row| format!("select ev_txid, tableoid from {}", row.get::<_, &str>(0)));
        let unread = format!(
            "select (select count(*) from pgq.retry_queue) \
             + (select count(*) from pgq.subscription where sub_batch is not null) \
             + (select count(*) from pgq.subscription join pgq.queue on queue_id = sub_queue \
                join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick \
                join ({}) event on starts_with(tableoid::regclass::text, queue_data_pfx || '_') \
                where not txid_visible_in_snapshot(ev_txid, tick_snapshot))",
            events.collect::<Vec<_>>().join(" union all ")
        );
        wait_for("all events to be read", || {
            client.query_one(&unread, &[]).expect("readable").get::<_, i64>(0) == 0
        });
    }
}

/// Ends the other threads when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn every_committed_event_is_delivered_once_to_each_consumer() {
    let [short, long] = SECONDS;
    let usual = pick(short, long);
    let seconds = env::var("PGQ_LOAD_SECONDS").map_or(usual, |seconds| seconds.parse().expect("seconds"));
    let load = &Load::prepare(Duration::from_secs(seconds));
    let consumers = consumers::register(&mut load.client());
    let (committed, seen) = thread::scope(|scope| {
        let _stop = Stop(&load.done);
        let maintenance = [(); 3].map(|()| scope.spawn(|| maintenance::run(load)));
        let consuming: Vec<_> =
            consumers.iter().map(|consumer| scope.spawn(move || consumer.run(load))).collect();
        let latecomer = scope.spawn(|| consumers::join_later(load, Duration::from_secs(seconds) / 2));
        let producing: Vec<_> =
            (0..PRODUCERS).map(|seed| scope.spawn(move || producers::run(load, seed + 1))).collect();
        let mut committed = [BTreeSet::new(), BTreeSet::new()];
        for producer in producing {
            for (all, its) in committed.iter_mut().zip(producer.join().expect("a producer")) {
                all.extend(its);
            }
        }
        load.wait_until_read();
        load.done.store(true, Ordering::SeqCst);
        maintenance.into_iter().for_each(|thread| thread.join().expect("maintenance"));
        let mut seen: Vec<Seen> =
            consuming.into_iter().map(|thread| thread.join().expect("a consumer")).collect();
        seen.push(latecomer.join().expect("a consumer"));
        (committed, seen)
    });
    report(load, &committed, &seen);
    assert_complete(&mut load.client(), &consumers, &committed, seen);
    assert!(
        load.counts.prepared.load(Ordering::Relaxed) > 0
            && load.counts.rolled_back.load(Ordering::Relaxed) > 0
    );
    assert_eq!(finished(load), opened(&mut load.client()), "no batch is opened and left behind");
}

/// Compares the events that each consumer has received with the committed ones.
fn assert_complete(
    client: &mut Client,
    consumers: &[Consumer],
    committed: &[BTreeSet<i64>; 2],
    seen: Vec<Seen>,
) {
    assert!(committed.iter().all(|events| events.len() > 100));
    let mut names: Vec<_> = consumers.iter().map(|consumer| (consumer.queue, consumer.name)).collect();
    names.push((QUEUES[0], consumers::LATE));
    names.dedup();
    let seen = &seen;
    for (queue, name) in names {
        let its = seen.iter().filter(|seen| (seen.queue, seen.name) == (queue, name));
        let from = its.clone().map(|seen| seen.from).max().expect("it ran");
        let all: Vec<i64> = its.flat_map(|seen| &seen.events).copied().collect();
        let distinct: BTreeSet<i64> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len(), "{name} of {queue}: events came twice: {:?}", repeated(all));
        let committed = &committed[QUEUES.iter().position(|known| *known == queue).expect("a queue")];
        let lost: Vec<_> = committed.range(from..).filter(|event| !distinct.contains(event)).collect();
        let invented: Vec<_> = distinct.difference(committed).collect();
        let state = "select array(select q::text from pgq.queue q)::text";
        let state: String = client.query_one(state, &[]).expect("readable").get(0);
        assert!(
            lost.is_empty() && invented.is_empty(),
            "{name} of {queue}: lost {lost:?}, invented {invented:?}: {state}"
        );
    }
}

fn repeated(mut events: Vec<i64>) -> Vec<i64> {
    events.sort_unstable();
    events.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

fn opened(client: &mut Client) -> i64 {
    client.query_one("select last_value from pgq.batch_id_seq", &[]).expect("readable").get(0)
}

fn finished(load: &Load) -> i64 {
    load.counts.batches.load(Ordering::Relaxed) as i64
}

fn report(load: &Load, committed: &[BTreeSet<i64>; 2], seen: &[Seen]) {
    let ticks = "select sum(last_value)::int8 from pg_sequences where sequencename like 'event_%_tick_seq'";
    let ticks: i64 = load.client().query_one(ticks, &[]).expect("readable").get(0);
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counts = &load.counts;
    println!(
        "events: {} committed, {} read by {} sessions; transactions: {} committed, {} of them prepared, {} rolled back, \
         {} refused; ticks: {ticks}; rotations: {:?}; maintenance: {} times refused; batches: {}, {} more finished by another session",
        committed.iter().map(BTreeSet::len).sum::<usize>(),
        seen.iter().map(|seen| seen.events.len()).sum::<usize>(),
        seen.len(),
        get(&counts.committed),
        get(&counts.prepared),
        get(&counts.rolled_back),
        get(&counts.refused),
        QUEUES.map(|queue| load.rotations_of(queue)),
        get(&counts.refused_maintenance),
        get(&counts.batches),
        get(&counts.lost_races),
    );
}
