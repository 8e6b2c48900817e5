//! Two movers of one name, each with a folder of its own.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::crash::{pause, survive_rounds};
use super::mover::Mover;
use super::{JOB, STREAM, Setup, in_each_way};
use crate::support::programs::Running;
use crate::support::random_kills::terminate;
use crate::support::{amount, wait_for};

/// The events of a batch that takes the mover some time.
const LARGE: i64 = 20_000;

pub(super) fn second(setup: &Setup) -> Mover {
    Mover::new(&setup.source.conninfo(), &setup.nats.url())
}

fn wait_in_log(mover: &Mover, text: &str) {
    wait_for(text, || mover.log().contains(text));
}

#[test]
fn two_movers_that_are_killed_at_random_lose_and_double_nothing() {
    in_each_way(kill_two_movers);
}

fn kill_two_movers(mut setup: Setup) {
    let second = second(&setup);
    survive_rounds(&mut setup, amount::pick(4, 30), Duration::ZERO, |setup, running, random| {
        let mut other = second.start();
        let mut operator = setup.client();
        for _ in 0..6 {
            pause(random, 200);
            match random.below(4) {
                0 => {
                    running.kill();
                    *running = setup.mover.start();
                }
                1 => {
                    other.kill();
                    other = second.start();
                }
                // The lock goes from one to the other while both run.
                _ => terminate(&mut operator, JOB),
            }
            // A mover whose session ends during its start ends, too; its supervisor starts it again.
            for (mover, running) in [(&setup.mover, &mut *running), (&second, &mut other)] {
                if !running.is_running() {
                    *running = mover.start();
                }
            }
        }
    });
}

/// Starts a mover and stops it by a signal when it has stored some of a large batch, and not all of it.
fn freeze(setup: &Setup, mover: &Mover, from: i64) -> Option<Running> {
    let before = setup.nats.count(STREAM);
    setup.source.insert(from, LARGE);
    let mut running = mover.start();
    wait_for("a part", || {
        assert!(running.is_running(), "{}", mover.log());
        setup.nats.count(STREAM) > before
    });
    running.signal(Signal::SIGSTOP);
    let stored = setup.nats.count(STREAM) - before;
    // The last part may be on its way.
    if stored + 2_000 < LARGE as u64 {
        return Some(running);
    }
    running.kill();
    setup.drain();
    None
}

#[test]
fn a_mover_that_is_frozen_within_a_batch_doubles_nothing_when_another_one_has_taken_over() {
    in_each_way(|setup| freeze_one_of_two(&setup));
}

fn freeze_one_of_two(setup: &Setup) {
    setup.register();
    let (mut frozen, wanted) = (0, amount::pick(1, 10));
    for round in 0..2 * wanted + 10 {
        let Some(mut running) = freeze(setup, &setup.mover, round * LARGE) else { continue };
        let second = second(setup);
        let mut other = second.start();
        wait_in_log(&second, "standing by: another process is consuming");
        terminate(&mut setup.client(), JOB);
        setup.wait_for_the_end_of_the_batch();
        let before = setup.log().len();
        running.signal(Signal::SIGCONT);
        // Either the source has ended its session, or the stream refuses its next part.
        wait_for("an error of the first mover", || setup.log()[before..].contains(" ERROR "));
        setup.assert_moved();
        assert!(running.is_running() && other.is_running());
        running.kill();
        other.kill();
        frozen += 1;
        if frozen == wanted {
            return;
        }
    }
    panic!("the mover was frozen within a batch {frozen} times");
}

#[test]
fn two_movers_that_take_turns_have_no_lost_position() {
    let setup = Setup::create();
    setup.register();
    let movers = [&setup.mover, &second(&setup)];
    let mut running = movers.map(Mover::start);
    for round in 0..10 {
        let [active, idle] = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        running[idle].signal(Signal::SIGSTOP);
        setup.source.insert(round * 10, 10);
        wait_for("the batch", || setup.nats.events(STREAM).len() as i64 == (round + 1) * 10);
        setup.wait_for_the_end_of_the_batch();
        running[idle].signal(Signal::SIGCONT);
        assert!(running[active].is_running());
    }
    for mover in movers {
        assert!(!mover.log().contains(" ERROR "), "{}", mover.log());
    }
    setup.assert_moved();
}
