//! Exactly once while the mover or the server is killed.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::{JOB, QUEUE, STREAM, Setup, Way, in_each_way};
use crate::support::programs::{Running, errors};
use crate::support::random_kills::{Ending, Random, produce, repeat, seed};
use crate::support::{amount, queues, wait_for};

/// Runs producers and a ticker, and calls `kill` again and again; then everything must be in the stream once.
fn survive(setup: &mut Setup, kill: impl FnMut(&mut Setup, &mut Running, &mut Random)) {
    survive_rounds(setup, amount::pick(6, 40), Duration::ZERO, kill);
}

/// As [`survive`], with this number of movers one after the other, and a pause after each event.
pub(super) fn survive_rounds(
    setup: &mut Setup,
    rounds: u32,
    pace: Duration,
    mut kill: impl FnMut(&mut Setup, &mut Running, &mut Random),
) {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    setup.register();
    let conninfo = setup.source.conninfo();
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let ending = Ending(&end);
        for producer in 0..2 {
            let (conninfo, end) = (&conninfo, &end);
            scope.spawn(move || insert_at_random(conninfo, end, seed, producer, pace));
        }
        scope.spawn(|| repeat(&conninfo, &end, &format!("select pgq.ticker('{QUEUE}')")));
        for _ in 0..rounds {
            let mut mover = Running::start(&mut setup.mover(&[]));
            kill(setup, &mut mover, &mut random);
            mover.kill();
        }
        drop(ending);
    });
    move_the_rest(setup);
    // Transactions of the two producers overlap, so their events have the order of commits, not that of ids.
    for producer in ["0", "1"] {
        setup.assert_moved_of(producer);
    }
}

fn insert_at_random(conninfo: &str, end: &AtomicBool, seed: u64, producer: u64, pace: Duration) {
    produce(conninfo, end, seed ^ (producer + 1), |transaction, random| {
        thread::park_timeout(pace);
        let data = format!("{producer} {}", random.below(u64::MAX));
        let insert = "select pgq.insert_event($1, $2, $3)";
        transaction.execute(insert, &[&QUEUE, &producer.to_string(), &data]).map(|_| ())
    });
}

fn move_the_rest(setup: &Setup) {
    queues::tick(&mut setup.client(), QUEUE);
    // The server may store a batch of the last mover only now, so that the first one of the next mover is refused.
    wait_for("the rest to be moved", || {
        let output = setup.mover(&["--set", "loop_delay=0"]).output().expect("the program starts");
        println!("{}", errors(&output));
        output.status.success()
    });
}

pub(super) fn pause(random: &mut Random, milliseconds: u64) {
    thread::sleep(Duration::from_millis(random.below(milliseconds)));
}

#[test]
fn a_mover_that_is_killed_at_random_loses_and_doubles_nothing() {
    survive(&mut Setup::of(Way::AtomicBatches), |_, _, random| pause(random, 400));
}

#[test]
fn a_mover_that_is_killed_at_random_loses_and_doubles_nothing_one_by_one() {
    for way in [Way::OneByOne, Way::OldServers] {
        survive(&mut Setup::of(way), |_, _, random| pause(random, 400));
    }
}

#[test]
fn a_server_that_is_killed_at_random_loses_and_doubles_nothing() {
    kill_server(&mut Setup::of(Way::AtomicBatches));
}

#[test]
fn a_server_that_is_killed_at_random_loses_and_doubles_nothing_one_by_one() {
    for way in [Way::OneByOne, Way::OldServers] {
        kill_server(&mut Setup::of(way));
    }
}

fn kill_server(setup: &mut Setup) {
    survive(setup, |setup, mover, random| {
        pause(random, 400);
        setup.nats.stop();
        pause(random, 100);
        setup.nats.start_again();
        let before = setup.nats.count(STREAM);
        wait_for("the mover to continue", || {
            // A mover that does not reach the server at its start ends, as all programs do.
            if !mover.is_running() {
                *mover = Running::start(&mut setup.mover(&[]));
            }
            setup.nats.count(STREAM) > before
        });
    });
}

#[test]
fn a_source_that_ends_the_movers_sessions_loses_and_doubles_nothing() {
    let mut setup = Setup::create();
    let mut operator = setup.client();
    survive(&mut setup, |setup, mover, random| {
        for _ in 0..3 {
            let before = setup.nats.count(STREAM);
            wait_for("the mover to continue", || setup.nats.count(STREAM) > before || !mover.is_running());
            assert!(mover.is_running(), "the mover has ended: {}", setup.log());
            pause(random, 50);
            let end = "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity \
                 where datname = current_database() and application_name = $1";
            wait_for("a session to end", || {
                operator.query_one(end, &[&JOB]).expect("ended").get::<_, i64>(0) > 0
            });
        }
    });
}

#[test]
fn a_mover_that_is_killed_within_a_batch_continues_behind_the_last_part() {
    in_each_way(|setup| killed_within_a_batch(&setup));
}

fn killed_within_a_batch(setup: &Setup) {
    setup.register();
    // One batch of many parts.
    setup.insert(0, amount::pick(20_000, 100_000));
    for _ in 0..amount::pick(4, 20) {
        let before = setup.nats.count(STREAM);
        let mut mover = Running::start(&mut setup.mover(&[]));
        wait_for("a part", || setup.nats.count(STREAM) > before || !mover.is_running());
        mover.kill();
    }
    let events = setup.nats.events(STREAM).len();
    println!("{events} events before the last run");
    setup.drain();
    setup.assert_moved();
}
