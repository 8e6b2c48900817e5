//! The status in Prometheus' text format.

use std::borrow::Borrow;
use std::fmt::Write;
use std::time::Duration;

use dbscript::one_line;

use super::{ConsumerStatus, OldSnapshot, QueueStatus, Status};

/// The content type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders the status of databases as metrics, each with its labels `database`, `queue` and `consumer`. A metric
/// whose value is not known is left out.
///
/// | metric | of | |
/// | --- | --- | --- |
/// | `pgq_up` | database | 1 when its status could be read, else 0; `failed` names those |
/// | `pgq_findings` | database | how many things in it do not fit, as after a move from another server |
/// | `pgq_old_snapshot_age_seconds` | database | age of the oldest snapshot that keeps dead rows |
/// | `pgq_new_events` | queue | events since the last tick |
/// | `pgq_events_per_second` | queue | over the last ticks |
/// | `pgq_queue_ticker_lag_seconds` | queue | age of the last tick |
/// | `pgq_queue_idle_period_seconds` | queue | after this, a queue without events is ticked |
/// | `pgq_queue_paused` | queue | 1 when the ticker leaves it alone |
/// | `pgq_queue_external_ticker` | queue | 1 when its ticks come from elsewhere |
/// | `pgq_queue_rotation_overdue_seconds` | queue | how long its rotation has been due |
/// | `pgq_queue_rotation_held_up` | queue | 1 when something keeps a rotation that is due from being done |
/// | `pgq_retry_queue_events` | queue | events that come back later |
/// | `pgq_pending_events` | consumer | events to be processed |
/// | `pgq_consumer_lag_seconds` | consumer | age of the tick that it has processed |
/// | `pgq_consumer_last_seen_seconds` | consumer | since its last sign of life; left out for a subconsumer without a batch, which waits for one |
/// | `pgq_consumer_pins_rotation` | consumer | 1 when a rotation that is due waits for it |
/// | `pgq_failed_events` | consumer | events that it has given up |
pub fn render<S: Borrow<Status>>(databases: &[S], failed: &[String]) -> String {
    let databases: Vec<&Status> = databases.iter().map(Borrow::borrow).collect();
    let mut text = String::new();
    write_up(&mut text, &databases, failed);
    write_snapshots(&mut text, &databases);
    for (name, help, value) in QUEUE_METRICS {
        let samples =
            databases.iter().flat_map(|status| status.queues.iter().map(move |queue| (status, queue)));
        let mut family = Family::begin(&mut text, name, help);
        for (status, queue) in samples {
            family.add(&[("database", &status.database), ("queue", &queue.name)], value(queue));
        }
    }
    for (name, help, value) in CONSUMER_METRICS {
        let mut family = Family::begin(&mut text, name, help);
        for status in &databases {
            for queue in &status.queues {
                for consumer in &queue.consumers {
                    let labels = [
                        ("database", &*status.database),
                        ("queue", &*queue.name),
                        ("consumer", &*consumer.name),
                    ];
                    family.add(&labels, value(consumer));
                }
            }
        }
    }
    text
}

/// The name of a metric, its help text, and its value; `None` when that is unknown.
type Metric<T> = (&'static str, &'static str, fn(&T) -> Option<f64>);

const QUEUE_METRICS: [Metric<QueueStatus>; 9] = [
    ("pgq_new_events", "Events of a queue since its last tick.", |queue| Some(queue.new_events? as f64)),
    ("pgq_events_per_second", "Events per second of a queue over its last ticks.", |queue| {
        queue.events_per_second
    }),
    ("pgq_queue_ticker_lag_seconds", "Age of a queue's last tick.", |queue| queue.ticker_lag.map(seconds)),
    ("pgq_queue_idle_period_seconds", "Time after which a queue without events is ticked.", |queue| {
        Some(seconds(queue.ticker.idle_period))
    }),
    ("pgq_queue_paused", "Whether the ticker leaves a queue alone.", |queue| Some(flag(queue.paused))),
    ("pgq_queue_external_ticker", "Whether a queue's ticks come from elsewhere.", |queue| {
        Some(flag(queue.external))
    }),
    (
        "pgq_queue_rotation_overdue_seconds",
        "How long the rotation of a queue's tables has been due.",
        |queue| Some(seconds(queue.rotation.overdue())),
    ),
    (
        "pgq_queue_rotation_held_up",
        "Whether something keeps a rotation that is due from being done.",
        |queue| Some(flag(!queue.rotation.held_up_by.is_empty())),
    ),
    ("pgq_retry_queue_events", "Events of a queue that come back to their consumers later.", |queue| {
        Some(queue.retry_events? as f64)
    }),
];

const CONSUMER_METRICS: [Metric<ConsumerStatus>; 5] = [
    ("pgq_pending_events", "Events that a consumer has to process.", |consumer| {
        Some(consumer.pending_events? as f64)
    }),
    ("pgq_consumer_lag_seconds", "Age of the tick that a consumer has processed.", |consumer| {
        consumer.lag.map(seconds)
    }),
    ("pgq_consumer_last_seen_seconds", "Time since a consumer's last sign of life.", |consumer| {
        (!consumer.waits_for_batch()).then(|| seconds(consumer.last_seen))
    }),
    ("pgq_consumer_pins_rotation", "Whether a rotation that is due waits for a consumer.", |consumer| {
        Some(flag(consumer.holds_up_rotation))
    }),
    ("pgq_failed_events", "Events that a consumer has given up.", |consumer| {
        Some(consumer.failed_events? as f64)
    }),
];

fn write_up(text: &mut String, databases: &[&Status], failed: &[String]) {
    let mut family = Family::begin(text, "pgq_up", "Whether the status of a database could be read.");
    for status in databases {
        family.add(&[("database", &status.database)], Some(1.0));
    }
    for database in failed {
        family.add(&[("database", database)], Some(0.0));
    }
    let mut family = Family::begin(
        text,
        "pgq_findings",
        "What does not fit in a database, as after a move from another server.",
    );
    for status in databases {
        family.add(&[("database", &status.database)], Some(status.findings.len() as f64));
    }
}

fn write_snapshots(text: &mut String, databases: &[&Status]) {
    let mut family = Family::begin(
        text,
        "pgq_old_snapshot_age_seconds",
        "Age of the oldest snapshot that keeps dead rows.",
    );
    for status in databases {
        let oldest = status.old_snapshots.iter().filter_map(OldSnapshot::age).max();
        family.add(&[("database", &status.database)], Some(oldest.map_or(0.0, seconds)));
    }
}

/// The samples of one metric. Its head is written together with the first of them.
struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    help: &'static str,
    is_begun: bool,
}

impl<'a> Family<'a> {
    fn begin(text: &'a mut String, name: &'static str, help: &'static str) -> Family<'a> {
        Family { text, name, help, is_begun: false }
    }

    fn add(&mut self, labels: &[(&str, &str)], value: Option<f64>) {
        let Some(value) = value else { return };
        let (name, help) = (self.name, self.help);
        if !self.is_begun {
            self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
            self.is_begun = true;
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// Escapes what the format wants to be, and what a terminal should not get: that looks as in a log.
fn escaped(value: &str) -> String {
    let lines: Vec<_> = value.split('\n').map(one_line).collect();
    lines.join("\n").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}
