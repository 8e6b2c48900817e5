//! Several sources, each on a server of its own, into one cluster.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::crash::pause;
use super::mover::{Mover, Source};
use super::{QUEUE, STREAM};
use crate::support::amount;
use crate::support::nats::{NatsServer, Release, Stored};
use crate::support::programs::Running;
use crate::support::queues;
use crate::support::random_kills::{Ending, Random, produce, repeat, seed, terminate};

const SOURCES: usize = 4;

/// The pause of a producer after each event.
const PACE: Duration = Duration::from_millis(2);

/// A source and its mover.
struct Branch {
    source: Source,
    mover: Mover,
    name: String,
    stream: String,
}

impl Branch {
    /// Starts a source. Its mover writes to this stream.
    fn start(at: usize, nats: &NatsServer, stream: &str) -> Branch {
        let source = Source::own();
        let mover = Mover::new(&source.conninfo(), &nats.url());
        let name = format!("source_{at}");
        let subject = format!("{stream}.{{type}}");
        let keys = [("job_name", &*name), ("nats_stream", stream), ("nats_subject", &subject)];
        mover.write_ini(&[&keys[..], &[("nats_create_stream", "3")]].concat());
        Branch { source, mover, name, stream: stream.to_owned() }
    }

    fn insert_at_random(&self, end: &AtomicBool, seed: u64) {
        produce(&self.source.conninfo(), end, seed, |transaction, random| {
            thread::park_timeout(PACE);
            let data = format!("{} {}", self.name, random.below(u64::MAX));
            let insert = "select pgq.insert_event($1, $2, $3)";
            transaction.execute(insert, &[&QUEUE, &self.name, &data]).map(|_| ())
        });
    }

    /// Moves the rest, and fails unless the stream has all the events of this source in order.
    fn check(&self, nats: &NatsServer) {
        let mut client = self.source.client();
        queues::tick(&mut client, QUEUE);
        self.mover.drain();
        let subject = format!("{}.{}", self.stream, self.name);
        let moved = nats.events(&self.stream).into_iter().filter(|message| message.subject == subject);
        let moved: Vec<Option<String>> = moved.map(|Stored { text, .. }| Some(text)).collect();
        let expected = queues::events(&mut client, QUEUE);
        let expected: Vec<Option<String>> = expected.into_iter().map(|mut row| row.swap_remove(1)).collect();
        println!("{}: {} events", self.name, expected.len());
        assert!(!expected.is_empty());
        assert!(
            moved == expected,
            "{}: {} of {}: {}",
            self.name,
            moved.len(),
            expected.len(),
            self.mover.log()
        );
    }
}

/// Kills a server of the cluster, a mover, its session or its source.
fn disturb(nats: &mut NatsServer, branches: &[Branch], running: &mut [Running], random: &mut Random) {
    let at = usize::try_from(random.below(SOURCES as u64)).expect("a number");
    match random.below(5) {
        0 => {
            let node = nats.leader(&branches[at].stream).unwrap_or(at % 3);
            nats.stop_node(node);
            pause(random, 400);
            nats.start_again();
        }
        1 => branches[at].source.server().restart_immediate(),
        2 => terminate(&mut branches[at].source.client(), &branches[at].name),
        _ => {
            running[at].kill();
            running[at] = branches[at].mover.start();
        }
    }
}

/// Moves four queues into streams, whose names depend on the source.
fn survive(stream: impl Fn(usize) -> String) {
    let mut nats = NatsServer::start_cluster(Release::Current);
    let branches: Vec<Branch> = (0..SOURCES).map(|at| Branch::start(at, &nats, &stream(at))).collect();
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    for branch in &branches {
        branch.mover.register();
    }
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let ending = Ending(&end);
        for (at, branch) in branches.iter().enumerate() {
            let end = &end;
            scope.spawn(move || branch.insert_at_random(end, seed ^ (at as u64 + 1)));
            scope.spawn(move || {
                repeat(&branch.source.conninfo(), end, &format!("select pgq.ticker('{QUEUE}')"));
            });
        }
        let mut running: Vec<Running> = branches.iter().map(|branch| branch.mover.start()).collect();
        for _ in 0..amount::pick(8, 100) {
            pause(&mut random, 400);
            disturb(&mut nats, &branches, &mut running, &mut random);
            // A supervisor starts a mover again that has ended since it did not reach a server at its start.
            for (running, branch) in running.iter_mut().zip(&branches) {
                if !running.is_running() {
                    *running = branch.mover.start();
                }
            }
        }
        drop(ending);
    });
    for branch in &branches {
        nats.wait_until_current(&branch.stream);
        branch.check(&nats);
    }
}

#[test]
fn four_sources_into_a_stream_each() {
    survive(|at| format!("ORDERS_{at}"));
}

#[test]
fn four_sources_into_one_stream() {
    survive(|_| STREAM.to_owned());
}
