//! The status for programs.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Status;
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
    ///   "tickers": [                             // the leader first; a standby has "leader": false
    ///     {"leader": true, "pid": 4712, "prepared": null, "user": "app", "application": "ticker",
    ///      "host": "10.0.0.8", "age": 3600.5}
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
    ///   }],
    ///   "old_snapshots": [                       // whatever keeps dead rows, the oldest first
    ///     {"kind": "transaction", "pid": 4711},  // and the keys of a transaction
    ///     {"kind": "slot", "name": "standby_1", "active": false, "age": 90000.5},
    ///     {"kind": "standby", "name": "walreceiver", "pid": 4712, "age": 8000.5}
    ///   ]
    /// }
    /// ```
    pub fn to_json(&self) -> Value {
        let mut document = json!(self);
        document["format"] = json!(1);
        document
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finding = json!({
            "problem": self.problem.to_string(),
            "level": self.level().to_string().to_lowercase(),
            "queue": self.queue,
            "consumer": self.consumer,
            "object": self.object,
            "reached": self.reached,
            "needed": self.needed,
            "text": self.to_string(),
        });
        finding.serialize(serializer)
    }
}

/// Writes a moment in UTC, with microseconds.
pub(super) fn moment<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// Writes a value that may be unknown as it is displayed.
pub(super) fn text_opt<S: Serializer>(
    value: &Option<impl Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admin::integrity::Problem;
    use crate::lock::LockHolder;
    use crate::lock::transaction::Transaction;
    use crate::schema::Kind;
    use crate::status::{
        ConsumerStatus, Cooperation, OldSnapshot, QueueStatus, Rotation, RotationBlocker, TickerSession,
    };

    const SECOND: Duration = Duration::from_millis(1500);

    fn queue() -> QueueStatus {
        let transaction = Transaction { pid: Some(7), age: Some(SECOND), ..Transaction::default() };
        let held_up_by = vec![
            RotationBlocker::Consumer { name: "c".to_owned(), lag: SECOND },
            RotationBlocker::Transaction(transaction.clone()),
            RotationBlocker::Lock { table: "t".to_owned(), transaction },
            RotationBlocker::Ticker,
            RotationBlocker::Maintenance,
        ];
        let cooperation = Some(Cooperation::Subconsumer);
        let consumer = ConsumerStatus { cooperation, last_seen: SECOND, ..ConsumerStatus::default() };
        QueueStatus {
            rotation: Rotation { is_due: true, held_up_by, ..Rotation::default() },
            consumers: vec![consumer],
            ..QueueStatus::default()
        }
    }

    #[test]
    fn the_keys_are_those_that_are_documented() {
        let finding = Finding {
            problem: Problem::TickSequence,
            queue: Some("q".to_owned()),
            consumer: None,
            object: None,
            reached: Some(1),
            needed: None,
        };
        let status = Status {
            database: "d".to_owned(),
            server_version: "15.6".to_owned(),
            pgq_version: "3.5".to_owned(),
            schema: Some(Kind::Own),
            time: DateTime::UNIX_EPOCH,
            unentitled_lock_holders: vec![LockHolder { age: Some(SECOND), ..LockHolder::default() }],
            tickers: vec![TickerSession { is_leader: true, session: LockHolder::default() }],
            queues: vec![queue()],
            findings: vec![finding.clone()],
            old_snapshots: vec![OldSnapshot::Slot { name: "s".to_owned(), active: true, age: Some(SECOND) }],
        };
        let lock = json!({"pid": 7, "prepared": null, "user": null, "application": null, "database": null,
            "state": null, "age": 1.5});
        let lock = |kind: &str| {
            let mut lock = lock.clone();
            lock["kind"] = json!(kind);
            lock
        };
        let mut table = lock("lock");
        table["table"] = json!("t");
        let expected = json!({
            "format": 1, "time": "1970-01-01T00:00:00.000000Z", "database": "d", "server_version": "15.6",
            "pgq_version": "3.5", "schema": "own",
            "strangers_to_ticks": [{"pid": null, "prepared": null, "user": null, "application": null, "host": null,
                "age": 1.5}],
            "tickers": [{"leader": true, "pid": null, "prepared": null, "user": null, "application": null,
                "host": null, "age": null}],
            "queues": [{
                "name": "",
                "rotation": {
                    "table": 0, "tables": 0, "period": 0.0, "age": 0.0, "due": true,
                    "held_up_by": [
                        {"kind": "consumer", "consumer": "c", "lag": 1.5}, lock("transaction"), table,
                        {"kind": "ticker"}, {"kind": "maintenance"},
                    ],
                },
                "ticker": {"max_count": 0, "max_lag": 0.0, "idle_period": 0.0},
                "ticker_lag": null, "events_per_second": null, "new_events": null, "last_tick": null,
                "last_tick_event": null, "paused": false, "external": false, "disabled": false,
                "retry_events": null,
                "consumers": [{
                    "name": "", "cooperation": "subconsumer", "lag": null, "last_seen": 1.5, "last_tick": null,
                    "last_tick_event": null, "batch": null, "next_tick": null, "pending_events": null,
                    "retry_events": null, "failed_events": null, "holds_up_rotation": false,
                }],
            }],
            "findings": [{"problem": "tick-sequence", "level": "critical", "queue": "q", "consumer": null,
                "object": null, "reached": 1, "needed": null, "text": finding.to_string()}],
            "old_snapshots": [{"kind": "slot", "name": "s", "active": true, "age": 1.5}],
        });
        assert_eq!(status.to_json(), expected);
    }
}
