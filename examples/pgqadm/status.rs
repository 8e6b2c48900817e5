//! `status`: the status of queues.

use dbscript::{BoxError, Config, Context, Error, Job, Key, Switches, printable_json};
use pgq::status::Status;

use crate::text::print;
use crate::{DB, watch};

/// The switch for JSON output.
pub(crate) const JSON: &str = "json";

/// The option for a display that refreshes itself.
pub(crate) const WATCH: &str = "watch";

pub(crate) fn status(config: &Config, queue: Option<&str>, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, json) = (queue.map(str::to_owned), switches.has(JSON));
    if let Some(seconds) = switches.value(WATCH) {
        if json {
            return Err(Error::usage("--json and --watch exclude each other").into());
        }
        let read_status = move |cx: &mut Context| match &queue {
            Some(queue) => read(cx, Some(queue)).map_err(|error| hinted(error, queue)),
            None => read(cx, None),
        };
        return watch::watch(config, &Key::required(DB, ""), seconds, read_status);
    }
    Ok(Job::once(move |cx| {
        let status = read(cx, queue.as_deref())?;
        match json {
            true => print(&printable_json(&format!("{:#}\n", status.to_json()))),
            false => print(&status.to_string()),
        }
    }))
}

/// Adds a hint to the error of a missing queue whose name is a number: seconds for `--watch` require a `=`.
fn hinted(error: BoxError, queue: &str) -> BoxError {
    let is_missing = |error: &pgq::Error| error.kind() == pgq::ErrorKind::Missing;
    let cause = error.source().and_then(|cause| cause.downcast_ref()).is_some_and(is_missing);
    if !cause || queue.parse::<f64>().is_err() {
        return error;
    }
    Error::failed(format!("write --watch={queue} to refresh every {queue} seconds")).caused_by(error).into()
}

/// Reads the status of one queue or of all.
pub(crate) fn read(cx: &mut Context, queue: Option<&str>) -> Result<Status, BoxError> {
    let mut status = Status::read(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
    if let Some(queue) = queue {
        status = status.only(queue).map_err(|error| cx.locate(DB, error))?;
    }
    Ok(status)
}
