//! Processes that are killed amid transactions, and that have one batch at once.

use std::path::Path;
use std::thread;

use postgres::Client;

use super::super::{KINDS, effects, insert, is_done};
use super::*;
use crate::support::programs::{Running, command_on};
use crate::support::random_kills::{Random, rounds, seed, terminate};

/// Starts the program `exactly_once`.
fn start(database: &Database) -> Running {
    let mut command = command_on(database.server(), "exactly_once", Path::new("/"));
    Running::start(command.arg(database.name()))
}

/// Kills processes and ends sessions at random, while events stream in. Without the sessions that hold the consumer's lock,
/// both processes have the same batch.
fn disturb(database: &Database, client: &mut Client, random: &mut Random) -> i64 {
    let mut processes = [start(database), start(database)];
    let mut inserted = 0;
    for _ in 0..rounds().div_ceil(2) {
        insert(client, 1 + inserted, 300);
        inserted += 300;
        thread::park_timeout(Duration::from_millis(random.below(150)));
        match random.below(6) {
            0 | 1 => terminate(client, "billing"),
            2 => terminate(client, "effects"),
            number => {
                let process = &mut processes[(number % 2) as usize];
                process.kill();
                *process = start(database);
            }
        }
    }
    // A process that has failed again and again waits for long.
    for process in &mut processes {
        process.kill();
        *process = start(database);
    }
    wait_for("the end of all events", || is_done(client));
    assert!(processes.iter_mut().all(Running::is_running));
    inserted
}

/// `CRASH_ROUNDS` sets the number of rounds, `CRASH_SEED` repeats a run's choices.
#[test]
fn each_event_has_its_effect_once_whatever_is_killed() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let seed = seed();
        let inserted = disturb(&database, &mut client, &mut Random::new(seed));
        let mut written = effects(&mut client);
        written.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert!(
            written == super::super::expected(1, inserted),
            "{kind:?}, seed {seed}: {} effects of {inserted}",
            written.len()
        );
    }
}
