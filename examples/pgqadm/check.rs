//! `check`: one line and an exit status for monitoring systems.

use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dbscript::{BoxError, Config, Context, Control, Databases, Error, Job, Key, Program, Switches, describe};
use pgq::admin::integrity;
use pgq::status::{Level, Limit, Limits, Status, Verdict};

use crate::text::print;
use crate::{DB, require_db};

const TICKER_LAG: &str = "ticker-lag";
const CONSUMER_LAG: &str = "consumer-lag";
const LAST_SEEN: &str = "last-seen";
const PENDING: &str = "pending";
const FAILED: &str = "failed";
const ROTATION_AGE: &str = "rotation-age";
const SNAPSHOT_AGE: &str = "snapshot-age";
const TIMEOUT: &str = "timeout";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the command.
const CHECK: &str = "check";

/// The options of the command.
pub(crate) const OPTIONS: [&str; 8] =
    [TICKER_LAG, CONSUMER_LAG, LAST_SEEN, PENDING, FAILED, ROTATION_AGE, SNAPSHOT_AGE, TIMEOUT];

/// Adds the options that set limits.
pub(crate) fn add_options(program: Program) -> Program {
    const LIMIT: &str = "WARN,CRIT";
    program
        .option(
            TICKER_LAG,
            LIMIT,
            "Seconds since a queue's last tick, beyond its idle period, from which on the status is \
             WARNING and CRITICAL; or `off`. Defaults to 60,300",
        )
        .option(
            CONSUMER_LAG,
            LIMIT,
            "Seconds of a consumer's lag, beyond the queue's idle period. Defaults to 300,3600",
        )
        .option(
            LAST_SEEN,
            LIMIT,
            "Seconds since a consumer's last activity, beyond the queue's idle period. \
             Defaults to 300,3600",
        )
        .option(PENDING, LIMIT, "Pending events of a consumer. Defaults to 100000,1000000")
        .option(FAILED, LIMIT, "Failed events of a consumer. Defaults to 1,100")
        .option(ROTATION_AGE, LIMIT, "Seconds since a rotation is due. Defaults to 3600,21600")
        .option(
            SNAPSHOT_AGE,
            LIMIT,
            "Seconds since the oldest transaction, replication slot or standby that keeps dead rows took \
             its snapshot. Defaults to 3600,21600",
        )
        .option(
            TIMEOUT,
            "SECONDS",
            "Seconds until the status is UNKNOWN without an answer; 0: no limit. Defaults to 10",
        )
        .on_failure(report_failure)
}

/// Reports a check that failed before it started as UNKNOWN. A monitoring system would misinterpret the exit status of
/// an ordinary failure and empty output.
fn report_failure(arguments: &[&str], reason: &str) -> Option<ExitCode> {
    (arguments.first() == Some(&CHECK)).then(|| {
        // A closed standard output must not change the exit status.
        let _ = print_verdict(&Verdict::unknown(reason));
        ExitCode::from(Level::Unknown as u8)
    })
}

/// Makes the job that checks one queue or all queues.
pub(crate) fn check(config: &Config, queue: Option<&str>, switches: &Switches) -> Result<Job, BoxError> {
    let (limits, timeout) = (limits(switches)?, timeout(switches)?);
    require_db(config)?;
    let (job, conninfo) = (config.job_name()?, config.get(&Key::required(DB, ""))?);
    let queue = queue.map(str::to_owned);
    Ok(Job::once_with_status(move |_| {
        let verdict = match read_within(timeout, &job, &conninfo, queue) {
            Ok(status) => limits.check(&status),
            Err(reason) => Verdict::unknown(reason),
        };
        print_verdict(&verdict)?;
        Ok(ExitCode::from(verdict.level as u8))
    }))
}

fn print_verdict(verdict: &Verdict) -> Result<(), BoxError> {
    print(&format!("{verdict}\n"))
}

/// Reads the status on a new thread. After the time-out, the thread is abandoned, and its statement on the server is
/// cancelled.
fn read_within(
    limit: Option<Duration>,
    job: &str,
    conninfo: &str,
    queue: Option<String>,
) -> Result<Status, String> {
    let control = Control::default();
    let mut databases = Databases::new(job, control.clone());
    databases.pin_search_path();
    databases.set(DB, conninfo);
    let mut cx = Context::new(databases, control.clone());
    let (sender, answer) = mpsc::channel();
    let read = move || {
        let status = inspect(&mut cx, queue.as_deref()).map_err(|error| describe(&*error));
        // The receiver is gone after the time-out.
        let _ = sender.send(status);
    };
    let thread = thread::Builder::new().name("check".to_owned());
    thread.spawn(read).map_err(|error| format!("cannot start a thread: {error}"))?;
    // A time-out beyond the range of the clock counts as no limit.
    match answer.recv_timeout(limit.unwrap_or(Duration::MAX)) {
        Ok(status) => status,
        Err(RecvTimeoutError::Disconnected) => Err("the check has failed".to_owned()),
        Err(RecvTimeoutError::Timeout) => {
            control.abort();
            Err(format!("no answer within {} seconds", limit.unwrap_or_default().as_secs_f64()))
        }
    }
}

/// Reads the status, including inconsistencies.
fn inspect(cx: &mut Context, queue: Option<&str>) -> Result<Status, BoxError> {
    let mut status = Status::read(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
    status.findings = integrity::inspect(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
    match queue {
        Some(queue) => Ok(status.only(queue).map_err(|error| cx.locate(DB, error))?),
        None => Ok(status),
    }
}

/// Returns the time-out of the check, or `None` for no limit.
fn timeout(switches: &Switches) -> Result<Option<Duration>, BoxError> {
    let Some(text) = switches.value(TIMEOUT) else { return Ok(Some(DEFAULT_TIMEOUT)) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds =
        seconds.ok_or_else(|| Error::usage(format!("--{TIMEOUT} must be seconds, not `{text}`")))?;
    Ok((!seconds.is_zero()).then_some(seconds))
}

fn limits(switches: &Switches) -> Result<Limits, BoxError> {
    let mut limits = Limits::default();
    let settings: [(&str, &mut Limit); 7] = [
        (TICKER_LAG, &mut limits.ticker_lag),
        (CONSUMER_LAG, &mut limits.consumer_lag),
        (LAST_SEEN, &mut limits.last_seen),
        (PENDING, &mut limits.pending_events),
        (FAILED, &mut limits.failed_events),
        (ROTATION_AGE, &mut limits.rotation_age),
        (SNAPSHOT_AGE, &mut limits.snapshot_age),
    ];
    for (option, limit) in settings {
        if let Some(text) = switches.value(option) {
            *limit = text.parse().map_err(|error| format!("--{option}: {error}"))?;
        }
    }
    Ok(limits)
}
