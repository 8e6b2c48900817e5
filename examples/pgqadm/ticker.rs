//! The ticker.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Config, Context, Job, Key, Round, Script, describe};
use log::{error, info};

use crate::DB;

const LOOP_DELAY: Key = Key::with_default(
    "loop_delay",
    "0.1",
    "Seconds between two looks for queues that need a tick. Defaults to 0.1.",
);
const MAINT_DELAY: Key =
    Key::with_default("maint_delay", "600", "Seconds between two rounds of maintenance. Defaults to 600.");
const RETRY_DELAY: Key = Key::with_default(
    "retry_delay",
    "30",
    "Seconds between two looks for retry events whose time has come. Defaults to 30.",
);

/// The keys of the ticker.
pub(crate) const KEYS: [Key; 3] = [LOOP_DELAY, MAINT_DELAY, RETRY_DELAY];

pub(crate) fn ticker(config: &Config) -> Result<Job, BoxError> {
    Ok(Job::looping(Ticker::from_config(config)?))
}

/// Ticks at every round; now and then returns retry events and does maintenance.
struct Ticker {
    retry: Timer,
    maintenance: Timer,
}

impl Ticker {
    fn from_config(config: &Config) -> Result<Ticker, BoxError> {
        Ok(Ticker {
            retry: Timer::every(config.seconds(&RETRY_DELAY)?),
            maintenance: Timer::every(config.seconds(&MAINT_DELAY)?),
        })
    }
}

impl Script for Ticker {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        pgq::tick(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
        info!("ticking");
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        let mut db = cx.database(DB)?;
        pgq::tick(&mut *db)?;
        // What fails beside the ticks must not hold them up; a lost connection fails the next tick anyway.
        if self.retry.is_due() {
            match pgq::retry_events(&mut db) {
                Ok(0) => {}
                Ok(returned) => cx.stats().put("retry-events", returned),
                Err(failed) => error!("{}", describe(&failed)),
            }
        }
        if self.maintenance.is_due()
            && let Err(failed) = pgq::maintain(&mut db)
        {
            error!("{}", describe(&failed));
        }
        Ok(Round::Idle)
    }
}

/// Is due at first, and then whenever its time has passed since.
struct Timer {
    every: Duration,
    last: Option<Instant>,
}

impl Timer {
    fn every(every: Duration) -> Timer {
        Timer { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}
