//! One line and an exit status for monitoring systems.

use std::process::ExitCode;

use dbscript::{BoxError, Config, Job, Program, Switches, describe};
use pgq::status::{Limit, Limits, Verdict};

use crate::{require_db, status};

const TICKER_LAG: &str = "ticker-lag";
const CONSUMER_LAG: &str = "consumer-lag";
const LAST_SEEN: &str = "last-seen";
const PENDING: &str = "pending";
const FAILED: &str = "failed";
const ROTATION_AGE: &str = "rotation-age";

/// The options that set limits.
pub(crate) const OPTIONS: [&str; 6] = [TICKER_LAG, CONSUMER_LAG, LAST_SEEN, PENDING, FAILED, ROTATION_AGE];

/// Adds the options that set limits.
pub(crate) fn add_options(program: Program) -> Program {
    const LIMIT: &str = "WARN,CRIT";
    program
        .option(
            TICKER_LAG,
            LIMIT,
            "With `check`: seconds since a queue's last tick, beyond its idle period, from which on that is a \
             warning, and critical; or `off`. Defaults to 60,300",
        )
        .option(
            CONSUMER_LAG,
            LIMIT,
            "With `check`: seconds that a consumer lags behind, beyond the queue's idle period. Defaults to 300,3600",
        )
        .option(
            LAST_SEEN,
            LIMIT,
            "With `check`: seconds without a sign of life of a consumer, beyond the queue's idle period. \
             Defaults to 300,3600",
        )
        .option(PENDING, LIMIT, "With `check`: events that wait for a consumer. Defaults to 100000,1000000")
        .option(FAILED, LIMIT, "With `check`: failed events of a consumer. Defaults to 1,100")
        .option(ROTATION_AGE, LIMIT, "With `check`: seconds since a rotation has been due. Defaults to 3600,21600")
}

/// A monitoring system is also told in its own way when nothing can be told.
pub(crate) fn check(config: &Config, queue: Option<&str>, switches: &Switches) -> Job {
    let (queue, limits) = (queue.map(str::to_owned), require_db(config).and_then(|()| limits(switches)));
    Job::once_with_status(move |cx| {
        let verdict = limits.and_then(|limits| Ok(limits.check(&status::read(cx, queue.as_deref())?)));
        let verdict = verdict.unwrap_or_else(|error| Verdict::unknown(describe(&*error)));
        status::print(&format!("{verdict}\n"))?;
        Ok(ExitCode::from(verdict.level as u8))
    })
}

fn limits(switches: &Switches) -> Result<Limits, BoxError> {
    let mut limits = Limits::default();
    let settings: [(&str, &mut Limit); 6] = [
        (TICKER_LAG, &mut limits.ticker_lag),
        (CONSUMER_LAG, &mut limits.consumer_lag),
        (LAST_SEEN, &mut limits.last_seen),
        (PENDING, &mut limits.pending_events),
        (FAILED, &mut limits.failed_events),
        (ROTATION_AGE, &mut limits.rotation_age),
    ];
    for (option, limit) in settings {
        if let Some(text) = switches.value(option) {
            *limit = text.parse().map_err(|error| format!("--{option}: {error}"))?;
        }
    }
    Ok(limits)
}
