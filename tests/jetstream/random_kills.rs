//! Everything is killed at random.

use std::time::Duration;

use super::crash::{pause, survive_rounds};
use super::mover::{Mover, Source};
use super::{JOB, QUEUE, STREAM, Setup};
use crate::support::nats::{NatsServer, Release};
use crate::support::programs::Running;
use crate::support::random_kills::{Random, rounds, terminate};
use crate::support::{queues, wait_for};

/// The pause of a producer after each event. A long run would otherwise have too many to compare.
const PACE: Duration = Duration::from_millis(5);

/// What has been done how often.
#[derive(Debug, Default)]
struct Done {
    restarts_of_the_source: u32,
    ended_sessions: u32,
    killed_leaders: u32,
    killed_servers: u32,
    lost_majorities: u32,
    handovers: u32,
}

impl Done {
    /// Does one of many things. What costs the most time is rarer.
    fn disturb(&mut self, setup: &mut Setup, random: &mut Random) {
        let node = usize::try_from(random.below(3)).expect("a number");
        let nodes = match random.below(40) {
            0 => {
                self.restarts_of_the_source += 1;
                return setup.source.server().restart_immediate();
            }
            1..=8 => {
                self.ended_sessions += 1;
                return terminate(&mut setup.client(), JOB);
            }
            9..=10 => {
                self.handovers += u32::from(setup.nats.step_down(STREAM));
                return;
            }
            11 => {
                self.killed_leaders += 1;
                vec![setup.nats.leader(STREAM).unwrap_or(node)]
            }
            12 => {
                self.killed_servers += 1;
                vec![node]
            }
            13 => {
                self.lost_majorities += 1;
                vec![node, (node + 1) % 3]
            }
            _ => return,
        };
        for node in nodes {
            setup.nats.stop_node(node);
        }
        pause(random, 400);
        setup.nats.start_again();
    }
}

/// Waits until the mover, which its supervisor starts again when it ends, finishes another batch.
fn wait_for_a_batch(setup: &Setup, mover: &mut Running) {
    let mut client = setup.client();
    let (before, _) = queues::position(&mut client, QUEUE, JOB);
    wait_for("the mover to finish a batch", || {
        if !mover.is_running() {
            *mover = Running::start(&mut setup.mover(&[]));
        }
        queues::position(&mut client, QUEUE, JOB).0 > before
    });
}

/// `CRASH_ROUNDS` sets the number of rounds, `CRASH_SEED` repeats a run's choices. Each round ends with a kill of the mover.
#[test]
fn random_kills_of_mover_servers_and_source_lose_and_double_nothing() {
    let mut setup = Setup::between(Source::own(), NatsServer::start_cluster(Release::Current));
    let second = Mover::new(&setup.source.conninfo(), &setup.nats.url());
    for mover in [&setup.mover, &second] {
        mover.write_ini(&[("nats_create_stream", "3")]);
    }
    let (mut done, rounds) = (Done::default(), rounds());
    let mut left = rounds;
    survive_rounds(&mut setup, rounds, PACE, |setup, mover, random| {
        // Another process of the name in some of the rounds.
        let other = (random.below(10) == 0).then(|| second.start());
        pause(random, 300);
        done.disturb(setup, random);
        pause(random, 100);
        if random.below(8) == 0 {
            wait_for_a_batch(setup, mover);
        }
        drop(other);
        left -= 1;
        if left % 100 == 0 {
            println!("{left} of {rounds} rounds are left: {done:?}");
        }
    });
    println!("{} messages", setup.nats.count(STREAM));
    assert_eq!(left, 0);
}
