//! Reads a status.

use std::collections::HashMap;

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::names::Name;
use crate::schema::row_security;

use super::query::{failed, query};
use super::rotating::{self, Rotating};
use super::{ConsumerStatus, Cooperation, QueueStatus, Rotation, Status, TickerSettings};
use crate::admin::integrity;
use crate::admin::set_aside::failed_by;
use crate::error::Error;
use crate::sql::status as sql;
use crate::time::seconds;
use crate::{lock, schema};

const NO_VALUES: &[(&(dyn ToSql + Sync), Type)] = &[];

pub(super) fn read(client: &mut impl GenericClient) -> Result<Status, Error> {
    let schema = schema::require_kind(client)?;
    let server = query(client, sql::SERVER, NO_VALUES)?.pop().ok_or_else(failed)?;
    row_security::require_visible(server.get("hidden"))?;
    let retry = server.get("retry");
    let rows = query(client, &sql::queues(retry), NO_VALUES)?;
    let rotating: Vec<_> = rows.iter().map(|row| Rotating::of(row, schema)).collect();
    let mut queues: Vec<_> = rows.iter().map(queue).collect();
    let index = rows.iter().enumerate().map(|(at, row)| (row.get("id"), at)).collect();
    let rows = query(client, &sql::consumers(retry, failed_by(&server)), NO_VALUES)?;
    add_consumers(&mut queues, &index, &rotating, &rows);
    rotating::name_holders(client, &mut queues, rotating, server.get("is_standby"))?;
    let strangers = lock::strangers_to_ticks(client).map_err(|error| failed().caused_by(error))?;
    Ok(Status {
        strangers_to_ticks: strangers,
        database: server.get::<_, Name>("database").0,
        server_version: server.get("server_version"),
        pgq_version: server.get("pgq_version"),
        schema,
        time: server.get("time"),
        queues,
        findings: integrity::at_a_glance(client)?,
    })
}

fn queue(row: &Row) -> QueueStatus {
    QueueStatus {
        name: row.get::<_, Name>("name").0,
        rotation: Rotation {
            table: row.get::<_, i32>("table").unsigned_abs(),
            tables: row.get::<_, i32>("tables").unsigned_abs(),
            period: seconds(row.get("period")),
            age: seconds(row.get("age")),
            is_due: row.get("due"),
            held_up_by: Vec::new(),
        },
        ticker: TickerSettings {
            max_count: row.get("max_count"),
            max_lag: seconds(row.get("max_lag")),
            idle_period: seconds(row.get("idle_period")),
        },
        ticker_lag: row.get::<_, Option<f64>>("ticker_lag").map(seconds),
        events_per_second: row.get("events_per_second"),
        new_events: row.get("new_events"),
        last_tick: row.get("last_tick"),
        last_tick_event: row.get("last_tick_event"),
        paused: row.get("paused"),
        external: row.get("external"),
        disabled: row.get("disabled"),
        retry_events: count(row, "retry_events"),
        consumers: Vec::new(),
    }
}

/// Gives every queue its consumers; `index` has the places of queues, by their ids.
fn add_consumers(
    queues: &mut [QueueStatus],
    index: &HashMap<i32, usize>,
    rotating: &[Option<Rotating>],
    rows: &[Row],
) {
    for row in rows {
        // A queue may have been created meanwhile.
        let Some(&at) = index.get(&row.get("queue")) else { continue };
        let mut consumer = consumer(row);
        consumer.holds_up_rotation =
            rotating[at].as_ref().is_some_and(|rotating| rotating.waits_for_consumer(row));
        queues[at].consumers.push(consumer);
    }
}

fn consumer(row: &Row) -> ConsumerStatus {
    let (Name(name), Name(main)) = (row.get("name"), row.get("main"));
    let cooperation = match row.get::<_, i64>("members") {
        1 => None,
        _ if name == main => Some(Cooperation::Consumer),
        _ => Some(Cooperation::Subconsumer),
    };
    ConsumerStatus {
        name,
        cooperation,
        lag: row.get::<_, Option<f64>>("lag").map(seconds),
        last_seen: seconds(row.get("last_seen")),
        last_tick: row.get("last_tick"),
        last_tick_event: row.get("last_tick_event"),
        batch: row.get("batch"),
        next_tick: row.get("next_tick"),
        pending_events: row.get("pending_events"),
        retry_events: count(row, "retry_events"),
        failed_events: count(row, "failed_events"),
        holds_up_rotation: false,
    }
}

fn count(row: &Row, column: &str) -> Option<u64> {
    row.get::<_, Option<i64>>(column).map(i64::unsigned_abs)
}
