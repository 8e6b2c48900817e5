//! The keys of consumers, and what they mean.

use std::ops::RangeInclusive;
use std::time::Duration;

use dbscript::{BoxError, Config, Key, keys};

use super::interval;
use crate::consume::retry_policy::{DEFAULT_RETRY_DELAY, RetryPolicy};
use crate::consume::router::qualified;
use crate::consume::settings::{Settings, Twin};

keys! {
    /// The keys that every consumer reads.
    pub KEYS;

    QUEUE_NAME: required("pgq_queue_name" | "queue_name"), "Queue to read from. No default.";
    CONSUMER_ID: default("pgq_consumer_id" | "consumer_name", "%(job_name)s"),
        "Name under which to register on the queue.";
    TABLE_FILTER: optional("table_filter"),
        "Tables, separated by commas: only events whose ev_extra1 is one of them are read; a name without a schema \
         is in public. Defaults to all events.";
    LAZY_FETCH: optional("pgq_lazy_fetch"),
        "Rows to fetch at a time; 0: a batch as a whole. Defaults to pages of about a megabyte.";
    AUTOCOMMIT: default("pgq_autocommit", "0"),
        "1: no transaction is open while events are handled, however long that takes; what was handled before a \
         crash is handled again.";
    COLLECT_EVENTS: optional("pgq_batch_collect_events"), "Wait until a batch has this many events. No default.";
    COLLECT_INTERVAL: optional("pgq_batch_collect_interval"),
        "Wait until a batch covers this much time, in seconds or such as 1 minute. No default.";
    KEEP_LAG: optional("pgq_keep_lag"),
        "Leave events alone that are younger than this, in seconds or such as 1 minute. No default.";
    MERGE_EVENTS: default("pgq_merge_events" | "pgq_batch_max_events", "50000"),
        "When behind, take several ticks as one batch until it has this many events; 0: tick by tick.";
    RETRY_DELAY: optional("pgq_retry_delay"),
        "Seconds until an event whose handler failed comes back. No default: the whole batch is rolled back and \
         delivered again.";
    RETRY_FACTOR: default("pgq_retry_factor", "2"),
        "How many times longer each delay is than the one before; 1: always the same.";
    RETRY_CAP: default("pgq_retry_cap", "3600"), "Longest delay, in seconds.";
    RETRY_JITTER: default("pgq_retry_jitter", "0.1"), "Random part, 0 to 1, by which each delay is longer.";
    MAX_RETRIES: optional("pgq_max_retries"),
        "How often an event is retried, be it that the handler failed or asked for it, before it goes to the failed \
         events; without pgq_retry_delay, first after 60 seconds. No default: for ever.";
    SUBCONSUMER: optional("subconsumer_name"),
        "Name of this process among several that share the consumer's position. No default: it works alone.";
    SUBCONSUMER_TIMEOUT: optional("subconsumer_timeout"),
        "Time without a sign of life, such as 10 min, after which another subconsumer is considered dead and its batch \
         is taken over. During a long batch heartbeats are sent. No default: never.";
    TWIN: default("pgq_twin", "wait"),
        "While another process consumes under the same name: `wait` stands by, `stop` ends.";
    KEEPALIVE_STATS: default("keepalive_stats", "300"),
        "Seconds after which a consumer without events logs that it is idle.";
    LISTEN: default("pgq_listen" | "listen", "1"),
        "Wake up at the ticker's notifications, on a connection of its own; 0: poll every loop_delay.";
}

/// The key that a [`LocalConsumer`](crate::LocalConsumer) reads besides.
pub(crate) const LOCAL_TRACKING_FILE: Key = Key::required(
    "local_tracking_file",
    "File that keeps the tick up to which events were handled, such as ~/state/%(job_name)s.tick. No default.",
);

/// Reads a consumer's settings.
///
/// # Errors
///
/// Usage errors that name file, section and key.
pub fn settings(config: &Config) -> Result<Settings, BoxError> {
    let mut settings = Settings::new(&config.get(&QUEUE_NAME)?, &config.get(&CONSUMER_ID)?);
    settings.lazy_fetch = config.parsed_opt(&LAZY_FETCH)?;
    settings.collect_events = config.parsed_opt(&COLLECT_EVENTS)?.filter(|count| *count > 0);
    settings.collect_interval = interval(config, &COLLECT_INTERVAL)?;
    settings.keep_lag = interval(config, &KEEP_LAG)?;
    settings.merge_events = config.parsed(&MERGE_EVENTS)?;
    settings.table_filter = config.list(&TABLE_FILTER)?.iter().map(|table| qualified(table)).collect();
    settings.autocommit = config.boolean(&AUTOCOMMIT)?;
    settings.retry_policy = retry_policy(config)?;
    settings.subconsumer = config.get_opt(&SUBCONSUMER)?.filter(|name| !name.is_empty());
    settings.subconsumer_timeout = interval(config, &SUBCONSUMER_TIMEOUT)?;
    settings.twin = twin(config)?;
    settings.keepalive_stats = config.seconds(&KEEPALIVE_STATS)?;
    settings.listen = config.boolean(&LISTEN)?;
    for (key, value) in [(&QUEUE_NAME, &settings.queue), (&CONSUMER_ID, &settings.consumer)] {
        if value.is_empty() {
            return Err(config.invalid(key, value).into());
        }
    }
    Ok(settings)
}

fn interval(config: &Config, key: &Key) -> Result<Option<Duration>, BoxError> {
    let Some(text) = config.get_opt(key)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match interval::parse(&text) {
        Some(time) => Ok(Some(time)),
        None => Err(config.invalid(key, &text).into()),
    }
}

fn twin(config: &Config) -> Result<Twin, BoxError> {
    match config.get(&TWIN)?.as_str() {
        "wait" => Ok(Twin::Wait),
        "stop" => Ok(Twin::Stop),
        other => Err(config.invalid(&TWIN, other).into()),
    }
}

fn retry_policy(config: &Config) -> Result<Option<RetryPolicy>, BoxError> {
    let factor = number(config, &RETRY_FACTOR, 1.0..=f64::MAX)?;
    let jitter = number(config, &RETRY_JITTER, 0.0..=1.0)?;
    let (cap, limit) = (config.seconds(&RETRY_CAP)?, config.parsed_opt::<u32>(&MAX_RETRIES)?);
    let delay = config.get_opt(&RETRY_DELAY)?.map(|_| config.seconds(&RETRY_DELAY)).transpose()?;
    if delay.is_none() && limit.is_none() {
        return Ok(None);
    }
    let policy =
        RetryPolicy::fixed(delay.unwrap_or(DEFAULT_RETRY_DELAY)).factor(factor).cap(cap).jitter(jitter);
    Ok(Some(limit.into_iter().fold(policy, RetryPolicy::max_retries)))
}

fn number(config: &Config, key: &Key, allowed: RangeInclusive<f64>) -> Result<f64, BoxError> {
    let number: f64 = config.parsed(key)?;
    if allowed.contains(&number) { Ok(number) } else { Err(config.invalid(key, &number.to_string()).into()) }
}
