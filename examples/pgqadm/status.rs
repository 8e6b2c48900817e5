//! What there is to know about queues.

use dbscript::{BoxError, Config, Context, Error, Job, Key, Switches};
use pgq::status::Status;

use crate::text::print;
use crate::{DB, watch};

/// The switch that asks for JSON.
pub(crate) const JSON: &str = "json";

/// The option that asks for a display that refreshes itself.
pub(crate) const WATCH: &str = "watch";

pub(crate) fn status(config: &Config, queue: Option<&str>, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, json) = (queue.map(str::to_owned), switches.has(JSON));
    if let Some(seconds) = switches.value(WATCH) {
        if json {
            return Err(Error::usage("either --json or --watch, not both").into());
        }
        return watch::watch(config, &Key::required(DB, ""), seconds, move |cx| read(cx, queue.as_deref()));
    }
    Ok(Job::once(move |cx| {
        let status = read(cx, queue.as_deref())?;
        match json {
            true => print(&format!("{:#}\n", status.to_json())),
            false => print(&status.to_string()),
        }
    }))
}

/// Reads the status of one queue or of all.
pub(crate) fn read(cx: &mut Context, queue: Option<&str>) -> Result<Status, BoxError> {
    let mut status = Status::read(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
    if let Some(queue) = queue {
        status = status.only(queue).map_err(|error| cx.locate(DB, error))?;
    }
    Ok(status)
}
