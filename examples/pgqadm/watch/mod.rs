//! `status --watch`: a display of the status of queues that refreshes itself.

mod column;
mod detail;
pub(crate) mod format;
mod help;
mod keys;
mod model;
mod problems;
mod process_group;
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

/// The default refresh interval in seconds.
pub(crate) const DEFAULT_SECONDS: &str = "2";
const MIN_SECONDS: f64 = 0.1;
const MAX_SECONDS: f64 = 86_400.0;

/// Makes the job that displays the status of a database, which `read` returns, every `seconds` seconds.
///
/// # Errors
///
/// Usage errors: an invalid number of seconds, and standard output that is no terminal.
pub(crate) fn watch(
    config: &Config,
    database: &Key,
    seconds: &str,
    read: impl Fn(&mut Context) -> Result<Status, BoxError> + Send + 'static,
) -> Result<Job, BoxError> {
    let interval = interval(seconds)?;
    if !stdout().is_terminal() {
        let text =
            "--watch requires a terminal on standard output; without one, use `status` or `status --json`";
        return Err(Error::usage(text).into());
    }
    let worker = Worker::new(&config.job_name()?).database(database.name(), &config.get(database)?);
    Ok(Job::once(move |_| run::run(worker, Box::new(read), interval)).handling_signals())
}

fn interval(seconds: &str) -> Result<Duration, Error> {
    let invalid = || {
        Error::usage(format!("--watch must be seconds from {MIN_SECONDS} to {MAX_SECONDS}, not `{seconds}`"))
    };
    let seconds: f64 = seconds.parse().map_err(|_| invalid())?;
    if (MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_range() {
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
