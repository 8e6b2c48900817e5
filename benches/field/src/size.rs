//! The numbers of a run.

use std::time::Duration;

/// How many events each scenario has, and how long it takes.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    /// The rounds of each scenario, in which the contestants take turns.
    pub(crate) rounds: u32,
    /// The events of `produce`: one a transaction, 100 a transaction, in bulk.
    pub(crate) produced: [u64; 3],
    pub(crate) drained: u64,
    /// The events a second of `steady`, and the time at each rate.
    pub(crate) rates: &'static [&'static str],
    pub(crate) steady: Duration,
    pub(crate) fanned_out: u64,
    /// The time before the snapshot is taken, and the time for which it is held.
    pub(crate) before_snapshot: Duration,
    pub(crate) under_snapshot: Duration,
    /// The time between two samples under the snapshot.
    pub(crate) sample: Duration,
    /// The transactions of 100 events that a consumer misses.
    pub(crate) missed: u64,
    pub(crate) beside_poison: u64,
    /// How long the event that fails is watched.
    pub(crate) watch_poison: Duration,
    pub(crate) before_crashes: u64,
    /// How often the consumer is killed.
    pub(crate) kills: u64,
    /// The time for the last events after the crash of the server.
    pub(crate) recovery: Duration,
    /// The longest time of anything that a scenario waits for.
    pub(crate) limit: Duration,
}

impl Size {
    /// Returns the numbers of a full run.
    pub(crate) fn long() -> Size {
        Size {
            rounds: 3,
            produced: [20_000, 200_000, 1_000_000],
            drained: 1_000_000,
            rates: &["100", "1000", "2000"],
            steady: Duration::from_secs(20),
            fanned_out: 100_000,
            before_snapshot: Duration::from_secs(60),
            under_snapshot: Duration::from_secs(600),
            sample: Duration::from_secs(10),
            missed: 3_600,
            beside_poison: 1_000,
            watch_poison: Duration::from_secs(60),
            before_crashes: 50_000,
            kills: 5,
            recovery: Duration::from_secs(180),
            limit: Duration::from_secs(900),
        }
    }

    /// Returns the numbers of a run that ends within minutes.
    pub(crate) fn short() -> Size {
        Size {
            rounds: 1,
            produced: [1_000, 10_000, 50_000],
            drained: 20_000,
            rates: &["1000"],
            steady: Duration::from_secs(3),
            fanned_out: 1_000,
            before_snapshot: Duration::from_secs(3),
            under_snapshot: Duration::from_secs(6),
            sample: Duration::from_secs(1),
            missed: 200,
            beside_poison: 100,
            watch_poison: Duration::from_secs(5),
            before_crashes: 2_000,
            kills: 2,
            recovery: Duration::from_secs(120),
            limit: Duration::from_secs(60),
        }
    }
}
