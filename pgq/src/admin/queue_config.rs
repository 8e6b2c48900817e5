//! Reading the settings of queues.

use crate::names::bytes;
use std::time::Duration;

use dbscript::param::text;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::Error;
use crate::names::{self, Name};
use crate::schema::{self, row_security};

/// The settings of one queue. PgQ: `pgq.queue`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// The queue's name.
    pub queue: String,
    /// The time after which new events get a tick at the latest.
    pub ticker_max_lag: Duration,
    /// The number of new events since the last tick that triggers a tick.
    pub ticker_max_count: i32,
    /// The time after which a tick is made even without new events.
    pub ticker_idle_period: Duration,
    /// The time for which a table receives events before the next one may replace it.
    pub rotation_period: Duration,
    /// Whether the ticker skips the queue.
    pub ticker_paused: bool,
    /// Whether ticks are made by another program, as for a queue that replicates another one.
    pub external_ticker: bool,
    /// Whether inserting events is disabled.
    pub disable_insert: bool,
    /// The number of events that one transaction may insert; `None` for no limit.
    pub per_tx_limit: Option<i32>,
    /// The functions that maintenance calls with the queue's name.
    pub extra_maint: Vec<String>,
}

impl QueueConfig {
    fn new(row: &Row) -> QueueConfig {
        QueueConfig {
            queue: row.get::<_, Name>("queue_name").0,
            ticker_max_lag: duration(row.get("max_lag")),
            ticker_max_count: row.get("queue_ticker_max_count"),
            ticker_idle_period: duration(row.get("idle_period")),
            rotation_period: duration(row.get("rotation_period")),
            ticker_paused: row.get("queue_ticker_paused"),
            external_ticker: row.get("queue_external_ticker"),
            disable_insert: row.get("queue_disable_insert"),
            per_tx_limit: row.get("queue_per_tx_limit"),
            extra_maint: names::into_strings(row.get("extra_maint")),
        }
    }
}

/// Returns the settings of every queue, ordered by name.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn queue_configs(client: &mut impl GenericClient) -> Result<Vec<QueueConfig>, Error> {
    read(client, None)
}

/// Returns a queue's settings.
///
/// # Errors
///
/// When PgQ is not installed or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when
/// the server fails.
pub fn queue_config(client: &mut impl GenericClient, queue: &str) -> Result<QueueConfig, Error> {
    match read(client, Some(queue))?.pop() {
        Some(config) => Ok(config),
        None => Err(queue_lookup::unknown_queue(client, queue)),
    }
}

/// $1 queue, or null for all queues.
const QUEUE_CONFIGS: &str = concat!(
    "select ",
    bytes!("queue_name"),
    " as queue_name, queue_ticker_max_count, queue_ticker_paused, queue_external_ticker, \
         queue_disable_insert, queue_per_tx_limit, \
         extract(epoch from queue_ticker_max_lag)::pg_catalog.float8 as max_lag, \
         extract(epoch from queue_ticker_idle_period)::pg_catalog.float8 as idle_period, \
         extract(epoch from queue_rotation_period)::pg_catalog.float8 as rotation_period, \
         array(select ",
    bytes!("name"),
    " from pg_catalog.unnest(queue_extra_maint) with ordinality listed (name, place) \
             where name is not null order by place) as extra_maint \
     from pgq.queue where queue_name = $1 or $1 is null order by pgq.queue.queue_name"
);

fn read(client: &mut impl GenericClient, queue: Option<&str>) -> Result<Vec<QueueConfig>, Error> {
    schema::require(client)?;
    let values = [text(&queue)];
    let rows = client
        .query_typed(QUEUE_CONFIGS, &values)
        .map_err(|error| Error::failed("cannot read the settings of queues").caused_by(error))?;
    row_security::require_all_visible(client)?;
    Ok(rows.iter().map(QueueConfig::new).collect())
}

/// Returns an interval as a duration. A negative interval has the effect of zero in PgQ, and is returned as zero.
fn duration(seconds: f64) -> Duration {
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_is_a_duration() {
        assert_eq!(duration(0.25), Duration::from_millis(250));
        assert_eq!(duration(-3.0), Duration::ZERO);
        assert_eq!(duration(f64::INFINITY), Duration::MAX);
        assert_eq!(duration(f64::NAN), Duration::ZERO);
    }
}
