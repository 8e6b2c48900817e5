//! `status --watch`: the status of queues as a display that refreshes itself.

mod column;
mod detail;
mod format;
mod help;
mod job;
mod keys;
mod model;
mod problems;
mod reader;
mod rows;
mod run;
mod screen;
mod snapshot;
mod style;
mod summary;
mod table;
#[cfg(test)]
mod testing;
mod track;
mod view;

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use dbscript::{BoxError, Config, Context, Error, Job, Key, Worker};
use pgq::status::Status;

/// Seconds between two looks, unless others are given.
pub(crate) const DEFAULT_SECONDS: &str = "2";
const LEAST: f64 = 0.1;
const MOST: f64 = 86_400.0;

/// Makes the job that shows what `look` finds in a database every so many seconds.
///
/// # Errors
///
/// Usage errors: seconds that are none, and no terminal to draw on.
pub(crate) fn watch(
    config: &Config,
    database: &Key,
    seconds: &str,
    look: impl Fn(&mut Context) -> Result<Status, BoxError> + Send + 'static,
) -> Result<Job, BoxError> {
    let interval = interval(seconds)?;
    if !stdout().is_terminal() {
        let text = "--watch needs a terminal on standard output; elsewhere use `status` or `status --json`";
        return Err(Error::usage(text).into());
    }
    let worker = Worker::new(&config.job_name()?).database(database.name(), &config.get(database)?);
    Ok(Job::once(move |_| run::run(worker, Box::new(look), interval)).handling_signals())
}

fn interval(seconds: &str) -> Result<Duration, Error> {
    let wrong = || Error::usage(format!("--watch wants seconds from {LEAST} to {MOST}, not `{seconds}`"));
    let seconds: f64 = seconds.parse().map_err(|_| wrong())?;
    if (LEAST..=MOST).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_between_looks() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(interval(text).ok(), expected.map(Duration::from_millis), "{text}");
        };
        check(DEFAULT_SECONDS, Some(2000));
        check("0.1", Some(100));
        check("86400", Some(86_400_000));
        for wrong in ["", "0", "0.09", "86401", "-1", "NaN", "inf", "1s"] {
            check(wrong, None);
        }
    }
}
