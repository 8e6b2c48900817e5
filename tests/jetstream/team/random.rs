//! Subconsumers, source and stream are killed or frozen at random.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{JOB, QUEUE, STREAM, Setup, is_done, member_with, ranges, records};
use crate::jetstream::crash::pause;
use crate::jetstream::mover::{Mover, Source};
use crate::support::nats::{NatsServer, Release};
use crate::support::programs::Running;
use crate::support::random_kills::{Ending, Random, produce, repeat, rounds, seed, terminate};
use crate::support::{queues, wait_for};

const MEMBERS: usize = 3;
/// The pause of a producer after each event.
const PACE: Duration = Duration::from_micros(500);

/// The numbers of disturbances.
#[derive(Debug, Default)]
struct Done {
    kills: u32,
    freezes: u32,
    ended_sessions: u32,
    restarts_of_the_source: u32,
    restarts_of_the_stream: u32,
    handovers: u32,
}

struct Team<'a> {
    movers: &'a [Mover],
    running: Vec<Running>,
    frozen: Option<usize>,
    done: Done,
}

impl Team<'_> {
    /// Does one of several things. The slowest ones are rarer.
    fn disturb(&mut self, setup: &mut Setup, random: &mut Random) {
        let at = usize::try_from(random.below(MEMBERS as u64)).expect("a number");
        match random.below(40) {
            0 => {
                self.done.restarts_of_the_source += 1;
                setup.source.server().restart_immediate();
            }
            1 => {
                self.done.restarts_of_the_stream += 1;
                match setup.nats.leader(STREAM) {
                    Some(leader) => setup.nats.stop_node(leader),
                    None => setup.nats.stop(),
                }
                pause(random, 200);
                setup.nats.start_again();
            }
            2..=3 => self.done.handovers += u32::from(setup.nats.step_down(STREAM)),
            4..=8 => {
                self.done.ended_sessions += 1;
                terminate(&mut setup.client(), JOB);
            }
            9..=19 => self.freeze_another(at),
            _ => {
                self.done.kills += 1;
                self.running[at].kill();
            }
        }
    }

    /// Freezes a subconsumer, and wakes the one up that is frozen.
    fn freeze_another(&mut self, at: usize) {
        self.wake();
        if self.running[at].is_running() {
            self.done.freezes += 1;
            self.running[at].signal(Signal::SIGSTOP);
            self.frozen = Some(at);
        }
    }

    fn wake(&mut self) {
        if let Some(at) = self.frozen.take()
            && self.running[at].is_running()
        {
            self.running[at].signal(Signal::SIGCONT);
        }
    }

    /// Starts those again that have ended, as a supervisor does.
    fn start_again(&mut self) {
        for (mover, running) in self.movers.iter().zip(&mut self.running) {
            if !running.is_running() {
                *running = mover.start();
            }
        }
    }
}

fn insert_at_random(conninfo: &str, end: &AtomicBool, seed: u64, producer: u64) {
    produce(conninfo, end, seed ^ (producer + 1), |transaction, random| {
        thread::park_timeout(PACE);
        let data = format!("{producer} {}", random.below(u64::MAX));
        let insert = "select pgq.insert_event($1, $2, $3)";
        transaction.execute(insert, &[&QUEUE, &producer.to_string(), &data]).map(|_| ())
    });
}

fn insert_many(setup: &Setup) {
    let insert = "select count(pgq.insert_event($1, 'many', clock_timestamp() || ' ' || n)) from generate_series(1, 4000) n";
    // A source that is starting takes none.
    let _ = setup.client().execute(insert, &[&QUEUE]);
}

/// `CRASH_ROUNDS` sets the number of rounds, `CRASH_SEED` repeats a run's choices.
#[test]
fn subconsumers_that_are_killed_and_frozen_at_random_lose_and_double_nothing() {
    survive(NatsServer::start_release(Release::Current), "1", rounds());
}

/// As above, with a stream of three replicas.
#[test]
fn subconsumers_of_a_cluster_that_are_killed_and_frozen_at_random_lose_and_double_nothing() {
    survive(NatsServer::start_cluster(Release::Current), "3", rounds());
}

fn survive(nats: NatsServer, replicas: &str, rounds: u32) {
    let mut setup = Setup::between(Source::own(), nats);
    // A subconsumer counts as dead while it is frozen or after a kill.
    let changes = [
        ("subconsumer_timeout", "0.3"),
        ("payload", "json"),
        ("pgq_merge_events", "200"),
        ("nats_create_stream", replicas),
    ];
    let movers = ["a", "b", "c"].map(|name| member_with(&setup, name, &changes));
    movers[0].register();
    let running = movers.iter().map(Mover::start).collect();
    let mut team = Team { movers: &movers, running, frozen: None, done: Done::default() };
    disturb_often(&mut setup, &mut team, rounds);
    if replicas != "1" {
        setup.nats.wait_until_current(STREAM);
    }
    queues::tick(&mut setup.client(), QUEUE);
    wait_for("the rest to be moved", || {
        team.wake();
        team.start_again();
        is_done(&mut setup.client())
    });
    println!("{:?}, {} messages", team.done, setup.nats.count(STREAM));
    drop(team);
    finish(&setup, &movers[0]);
    assert_each_once_in_order(&setup);
    check_logs(&movers);
}

/// Runs producers and a ticker meanwhile.
fn disturb_often(setup: &mut Setup, team: &mut Team<'_>, rounds: u32) {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let end = AtomicBool::new(false);
    let conninfo = setup.source.conninfo();
    thread::scope(|scope| {
        let ending = Ending(&end);
        for producer in 0..2 {
            let (conninfo, end) = (&conninfo, &end);
            scope.spawn(move || insert_at_random(conninfo, end, seed, producer));
        }
        scope.spawn(|| repeat(&conninfo, &end, &format!("select pgq.ticker('{QUEUE}')")));
        for round in 1..=rounds {
            if random.below(4) == 0 {
                // A batch of several parts.
                insert_many(setup);
            }
            pause(&mut random, 300);
            team.disturb(setup, &mut random);
            team.start_again();
            if round % 100 == 0 {
                println!("{round} of {rounds} rounds: {:?}", team.done);
            }
        }
        drop(ending);
    });
}

/// Prints how often the subconsumers have recovered, and fails if one has lost its position.
fn check_logs(movers: &[Mover]) {
    let log: String = movers.iter().map(Mover::log).collect();
    for text in [
        "events were applied before",
        "was applied before, finishing",
        "closing its record",
        "taken the batch over",
    ] {
        println!("{}: {text}", log.matches(text).count());
    }
    assert!(!log.contains("has lost its position"), "{log}");
}

/// Closes the records that are left.
fn finish(setup: &Setup, mover: &Mover) {
    queues::tick(&mut setup.client(), QUEUE);
    mover.drain();
    assert!(records(setup).is_empty());
    assert_eq!(ranges(setup)["completed"].as_array().map(Vec::len), Some(1));
}

/// Fails unless the stream has each event once, and the events of each transaction in order, since they are in one batch.
fn assert_each_once_in_order(setup: &Setup) {
    let mut expected: Vec<_> =
        queues::events(&mut setup.client(), QUEUE).into_iter().map(|mut row| row.swap_remove(1)).collect();
    let (mut moved, mut last) = (Vec::new(), BTreeMap::new());
    for event in setup.nats.events(STREAM) {
        let event: Value = serde_json::from_str(&event.text).expect("JSON");
        let id = event["id"].as_i64().expect("an id");
        let before = last.insert(event["txid"].as_i64(), id);
        assert!(before.is_none_or(|before| before < id), "event {id} is behind {before:?}");
        moved.push(event["data"].as_str().map(str::to_owned));
    }
    expected.sort();
    moved.sort();
    assert_eq!(moved.len(), expected.len());
    assert!(moved == expected, "the events differ");
}
