//! `config`: shows and changes the settings of queues.

use std::fmt::Write as _;
use std::time::Duration;

use dbscript::{BoxError, Error, Job, printable};
use pgq::admin::QueueConfig;

use crate::DB;
use crate::database;
use crate::text::print;

/// Prints the settings of one queue or of all queues.
pub(crate) fn show(queue: Option<&str>) -> Job {
    let queue = queue.map(str::to_owned);
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let configs = match queue {
            Some(queue) => pgq::admin::queue_config(&mut *db, &queue).map(|config| vec![config]),
            None => pgq::admin::queue_configs(&mut *db),
        };
        let configs = configs.map_err(|error| cx.locate(DB, error))?;
        print(&configs.iter().map(rendered).collect::<String>())
    })
}

/// Changes settings of a queue, and prints the changes.
pub(crate) fn change(queue: &str, changes: &[&str]) -> Result<Job, BoxError> {
    let queue = queue.to_owned();
    let changes = changes.iter().map(|change| pair(change)).collect::<Result<Vec<_>, Error>>()?;
    Ok(Job::once(move |cx| {
        let borrowed: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut db = database::open(cx)?;
        pgq::admin::set_queue_config(&mut *db, &queue, &borrowed).map_err(|error| cx.locate(DB, error))?;
        let settings = borrowed.iter().map(|(name, value)| {
            let bare = name.strip_prefix("queue_").unwrap_or(name);
            format!("queue_{bare}='{}'", value.replace('\'', "''"))
        });
        let settings = settings.collect::<Vec<_>>().join(", ");
        print(&format!("Change queue {} config to: {}\n", printable(&queue), printable(&settings)))
    }))
}

fn pair(change: &str) -> Result<(String, String), Error> {
    match change.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_lowercase(), value.trim().to_owned())),
        None => Err(Error::usage(format!("`config` takes <variable>=<value>, not `{change}`"))),
    }
}

/// Renders the settings that every queue has, and then the optional ones that are set.
fn rendered(config: &QueueConfig) -> String {
    let mut text = format!("{}\n", printable(&config.queue));
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {name:<28}= {value:>5}");
    };
    line("queue_ticker_max_lag", &seconds(config.ticker_max_lag));
    line("queue_ticker_max_count", &config.ticker_max_count.to_string());
    line("queue_ticker_idle_period", &seconds(config.ticker_idle_period));
    line("queue_rotation_period", &seconds(config.rotation_period));
    for (name, set) in [
        ("queue_ticker_paused", config.ticker_paused),
        ("queue_external_ticker", config.external_ticker),
        ("queue_disable_insert", config.disable_insert),
    ] {
        if set {
            line(name, "true");
        }
    }
    if let Some(limit) = config.per_tx_limit {
        line("queue_per_tx_limit", &limit.to_string());
    }
    if !config.extra_maint.is_empty() {
        line("queue_extra_maint", &printable(&config.extra_maint.join(",")));
    }
    text
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
