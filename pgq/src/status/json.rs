//! The status for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lock::LockHolder;

use super::{ConsumerStatus, Cooperation, Holder, QueueStatus, Rotation, Status, Transaction};
use crate::admin::integrity::Finding;

impl Status {
    /// Returns the status as JSON, as `pgqadm CONFIG.ini status --json` prints it.
    ///
    /// Keys are always there; what is unknown or hidden from this role is `null`. Times are seconds, with
    /// fractions. Later releases may add keys and kinds, but neither rename nor remove any as long as `format`
    /// is 1.
    ///
    /// ```json
    /// {
    ///   "format": 1,
    ///   "time": "2026-01-31T12:00:00.250000Z",   // of the server
    ///   "database": "somedb",
    ///   "server_version": "15.6",
    ///   "pgq_version": "3.5",
    ///   "schema": "own",                         // or "extension"; null: of another origin
    ///   "strangers_to_ticks": [                  // who has a lock that ticks need and may not tick
    ///     {"pid": 4711, "prepared": null, "user": "joe", "application": "psql", "host": "10.0.0.7", "age": 8.5}
    ///   ],
    ///   "queues": [{
    ///     "name": "mailer",
    ///     "rotation": {
    ///       "table": 0, "tables": 3,             // the current table, and how many there are
    ///       "period": 7200.0, "age": 7300.5,     // setting; since the last rotation
    ///       "due": true,
    ///       "held_up_by": [                      // one or more, consumers first; empty: by nobody
    ///         {"kind": "consumer", "consumer": "welcome", "lag": 9000.5},
    ///         {"kind": "transaction", "pid": 4711, "prepared": null, "user": "joe", "application": "psql",
    ///          "database": "otherdb", "state": "idle in transaction", "age": 8000.5},
    ///         {"kind": "lock", "table": "pgq.event_1_1", "pid": 4711},   // and the keys of a transaction
    ///         {"kind": "ticker"},                // no tick lately
    ///         {"kind": "maintenance"}            // the last rotation is not finished
    ///       ]
    ///     },
    ///     "ticker": {"max_count": 500, "max_lag": 3.0, "idle_period": 60.0},
    ///     "ticker_lag": 2.1,                     // null: no tick yet
    ///     "events_per_second": 0.5,
    ///     "new_events": 3,                       // since the last tick
    ///     "last_tick": 12, "last_tick_event": 4200,   // the last event id before it
    ///     "paused": false, "external": false, "disabled": false,
    ///     "retry_events": 0,
    ///     "consumers": [{
    ///       "name": "welcome",
    ///       "cooperation": null,                 // or "consumer", "subconsumer"
    ///       "lag": 9000.5, "last_seen": 9000.1,
    ///       "last_tick": 2, "last_tick_event": 3000,
    ///       "batch": 5, "next_tick": 3,
    ///       "pending_events": 1200,
    ///       "retry_events": 0, "failed_events": 1,
    ///       "holds_up_rotation": true
    ///     }]
    ///   }],
    ///   "findings": [{                           // what does not fit in the database; empty: nothing
    ///     "problem": "tick-sequence", "level": "critical",   // or "warning"
    ///     "queue": "mailer", "consumer": null, "object": "pgq.event_1_tick_seq",
    ///     "reached": 1, "needed": 1000,
    ///     "text": "queue `mailer`: sequence `pgq.event_1_tick_seq` is at 1, behind tick 1000"
    ///   }]
    /// }
    /// ```
    pub fn to_json(&self) -> Value {
        json!({
            "format": 1,
            "time": self.time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            "database": self.database,
            "server_version": self.server_version,
            "pgq_version": self.pgq_version,
            "schema": self.schema.map(|kind| kind.to_string()),
            "strangers_to_ticks": self.strangers_to_ticks.iter().map(stranger).collect::<Vec<_>>(),
            "queues": self.queues.iter().map(queue).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

fn stranger(holder: &LockHolder) -> Value {
    json!({
        "pid": holder.pid,
        "prepared": holder.prepared,
        "user": holder.user,
        "application": holder.application,
        "host": holder.host,
        "age": seconds(holder.age),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "problem": finding.problem.to_string(),
        "level": finding.level().to_string().to_lowercase(),
        "queue": finding.queue,
        "consumer": finding.consumer,
        "object": finding.object,
        "reached": finding.reached,
        "needed": finding.needed,
        "text": finding.to_string(),
    })
}

fn queue(queue: &QueueStatus) -> Value {
    json!({
        "name": queue.name,
        "rotation": rotation(&queue.rotation),
        "ticker": {
            "max_count": queue.ticker.max_count,
            "max_lag": queue.ticker.max_lag.as_secs_f64(),
            "idle_period": queue.ticker.idle_period.as_secs_f64(),
        },
        "ticker_lag": seconds(queue.ticker_lag),
        "events_per_second": queue.events_per_second,
        "new_events": queue.new_events,
        "last_tick": queue.last_tick,
        "last_tick_event": queue.last_tick_event,
        "paused": queue.paused,
        "external": queue.external,
        "disabled": queue.disabled,
        "retry_events": queue.retry_events,
        "consumers": queue.consumers.iter().map(consumer).collect::<Vec<_>>(),
    })
}

fn rotation(rotation: &Rotation) -> Value {
    json!({
        "table": rotation.table,
        "tables": rotation.tables,
        "period": rotation.period.as_secs_f64(),
        "age": rotation.age.as_secs_f64(),
        "due": rotation.is_due,
        "held_up_by": rotation.held_up_by.iter().map(holder).collect::<Vec<_>>(),
    })
}

fn holder(holder: &Holder) -> Value {
    match holder {
        Holder::Consumer { name, lag } => {
            json!({"kind": "consumer", "consumer": name, "lag": lag.as_secs_f64()})
        }
        Holder::Transaction(by) => transaction("transaction", by),
        Holder::Lock { table, transaction: by } => {
            let mut lock = transaction("lock", by);
            lock["table"] = json!(table);
            lock
        }
        Holder::Ticker => json!({"kind": "ticker"}),
        Holder::Maintenance => json!({"kind": "maintenance"}),
    }
}

fn transaction(kind: &str, transaction: &Transaction) -> Value {
    json!({
        "kind": kind,
        "pid": transaction.pid,
        "prepared": transaction.prepared,
        "user": transaction.user,
        "application": transaction.application,
        "database": transaction.database,
        "state": transaction.state,
        "age": seconds(transaction.age),
    })
}

fn consumer(consumer: &ConsumerStatus) -> Value {
    json!({
        "name": consumer.name,
        "cooperation": consumer.cooperation.map(|part| match part {
            Cooperation::Consumer => "consumer",
            Cooperation::Subconsumer => "subconsumer",
        }),
        "lag": seconds(consumer.lag),
        "last_seen": consumer.last_seen.as_secs_f64(),
        "last_tick": consumer.last_tick,
        "last_tick_event": consumer.last_tick_event,
        "batch": consumer.batch,
        "next_tick": consumer.next_tick,
        "pending_events": consumer.pending_events,
        "retry_events": consumer.retry_events,
        "failed_events": consumer.failed_events,
        "holds_up_rotation": consumer.holds_up_rotation,
    })
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}
