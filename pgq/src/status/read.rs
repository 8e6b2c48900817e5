//! Reading a status.

use crate::names::bytes;
use crate::sql::status::Failed;
use std::collections::HashMap;

use dbscript::param::NO_PARAMS;
use postgres::{GenericClient, Row};

use crate::names::Name;
use crate::schema::row_security;

use super::query::{failed, query};
use super::rotation::{self, RotationState};
use super::{
    ConsumerStatus, Cooperation, QueueStatus, Rotation, Status, TickThresholds, old_snapshot, ticker_session,
};
use crate::admin::integrity;
use crate::admin::retained_events::failed_by;
use crate::error::Error;
use crate::lock;
use crate::schema;
use crate::sql::status as sql;
use crate::time::seconds;

/// Makes the query for all queues. `retry` is whether this role can read the retry events.
///
/// The query also returns the values of [`RotationState`]: transaction ids, and the table that the next rotation
/// truncates.
///
/// The query does not call `pgq.get_queue_info`, which fails for a queue without an event sequence and, in the
/// extension before PostgreSQL 17, for a tick at `infinity`. Events per second are those of the last twenty ticks.
fn queues(retry: bool) -> String {
    let (retry, waiting) = match retry {
        true => (
            "coalesce(waiting.events, 0)",
            "left join (select ev_queue, pg_catalog.count(*) as events from pgq.retry_queue group by 1) waiting \
                 on waiting.ev_queue = que.queue_id",
        ),
        false => ("null::pg_catalog.int8", ""),
    };
    format!(
        "select que.queue_id as id, {name} as name, que.queue_cur_table as table, que.queue_ntables as tables, \
             extract(epoch from que.queue_rotation_period)::pg_catalog.float8 as period, \
             extract(epoch from pg_catalog.now() - que.queue_switch_time)::pg_catalog.float8 as age, \
             que.queue_ticker_max_count as max_count, \
             extract(epoch from que.queue_ticker_max_lag)::pg_catalog.float8 as max_lag, \
             extract(epoch from que.queue_ticker_idle_period)::pg_catalog.float8 as idle_period, \
             case when pg_catalog.isfinite(last.tick_time) \
                 then extract(epoch from pg_catalog.now() - last.tick_time)::pg_catalog.float8 end as ticker_lag, \
             (last.tick_event_seq - former.tick_event_seq)::pg_catalog.float8 / case \
                 when pg_catalog.isfinite(last.tick_time) and pg_catalog.isfinite(former.tick_time) \
                 then nullif(extract(epoch from last.tick_time - former.tick_time), 0)::pg_catalog.float8 end \
                 as events_per_second, \
             case when pg_catalog.to_regclass(pgq.quote_fqname(que.queue_event_seq)) is not null \
                 then pgq.seq_getval(que.queue_event_seq) end - last.tick_event_seq as new_events, \
             last.tick_id as last_tick, \
             que.queue_ticker_paused as paused, que.queue_external_ticker as external, \
             que.queue_disable_insert as disabled, {retry} as retry_events, \
             pg_catalog.now() > que.queue_switch_time + que.queue_rotation_period as due, \
             que.queue_switch_step2 as rotated_by, \
             pg_catalog.txid_snapshot_xmin(last.tick_snapshot) as oldest_at_tick, \
             pg_catalog.txid_snapshot_xmax(last.tick_snapshot) as next_at_tick, \
             last.tick_event_seq as last_tick_event, \
             pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) as oldest_now, \
             (que.queue_cur_table + 1) % que.queue_ntables as next_table, que.queue_data_pfx as prefix \
         from pgq.queue que \
         left join lateral (select * from pgq.tick where tick_queue = que.queue_id \
             order by tick_queue desc, tick_id desc limit 1) last on true \
         left join lateral (select tick_time, tick_event_seq from pgq.tick \
             where tick_queue = que.queue_id and tick_id >= last.tick_id - 20 \
             order by tick_queue, tick_id limit 1) former on true \
         {waiting} \
         order by que.queue_name",
        name = bytes!("que.queue_name")
    )
}

/// Makes the query for all consumers of all queues.
///
/// A subconsumer has the id of its consumer, and its name begins with the consumer's name. Retry events and failed
/// events count for the consumer.
fn consumers(retry: bool, failed: Failed) -> String {
    let of_main = |count: &str| format!("case when co_name = main then {count} end");
    let counts = |table: &str| {
        format!(
            "left join (select ev_owner, pg_catalog.count(*) as events from pgq.{table} group by 1) {table} \
                 on {table}.ev_owner = sub_id"
        )
    };
    let (retry, retry_join) = match retry {
        true => (of_main("coalesce(retry_queue.events, 0)"), counts("retry_queue")),
        false => ("null::pg_catalog.int8".to_owned(), String::new()),
    };
    let (failed, failed_join) = match failed {
        Failed::Table => (of_main("coalesce(failed_queue.events, 0)"), counts("failed_queue")),
        Failed::Function => {
            (of_main("pgq.failed_event_count(queue_name, co_name)::pg_catalog.int8"), String::new())
        }
        Failed::Hidden => ("null::pg_catalog.int8".to_owned(), String::new()),
    };
    format!(
        "select queue_id as queue, {name} as name, {main} as main, members, \
             case when own.tick_time is null then null \
                 when pg_catalog.isfinite(own.tick_time) then extract(epoch from pg_catalog.now() - own.tick_time)::pg_catalog.float8 \
                 when own.tick_time > pg_catalog.now() then 0 else 'infinity'::pg_catalog.float8 end as lag, \
             extract(epoch from pg_catalog.now() - sub_active)::pg_catalog.float8 as last_seen, \
             sub_last_tick as last_tick, own.tick_event_seq as last_tick_event, sub_batch as batch, sub_next_tick as next_tick, \
             newest.tick_event_seq - own.tick_event_seq as pending_events, \
             {retry} as retry_events, {failed} as failed_events, \
             pg_catalog.txid_snapshot_xmin(own.tick_snapshot) as oldest_at_tick, \
             pg_catalog.txid_snapshot_xmax(own.tick_snapshot) as next_at_tick \
         from (select *, pg_catalog.first_value(co_name) over (wide order by pg_catalog.length(co_name), co_name) as main, \
                   pg_catalog.count(*) over wide as members \
               from pgq.subscription join pgq.consumer on co_id = sub_consumer \
               join pgq.queue on queue_id = sub_queue \
               window wide as (partition by sub_queue, sub_id)) known \
         left join pgq.tick own on own.tick_queue = sub_queue and own.tick_id = sub_last_tick \
         left join lateral (select tick_event_seq from pgq.tick where tick_queue = sub_queue \
             order by tick_queue desc, tick_id desc limit 1) newest on true \
         {retry_join} {failed_join} \
         order by queue_name, co_name",
        name = bytes!("co_name"),
        main = bytes!("main")
    )
}

pub(super) fn read(client: &mut impl GenericClient) -> Result<Status, Error> {
    let schema = schema::require_kind(client)?;
    let server = query(client, sql::SERVER, NO_PARAMS)?.pop().ok_or_else(failed)?;
    row_security::require_visible(server.get("hidden"))?;
    let retry = server.get("retry");
    let rows = query(client, &queues(retry), NO_PARAMS)?;
    let states: Vec<_> = rows.iter().map(|row| RotationState::from_row(row, schema)).collect();
    let mut queues: Vec<_> = rows.iter().map(queue).collect();
    let index = rows.iter().enumerate().map(|(at, row)| (row.get("id"), at)).collect();
    let rows = query(client, &consumers(retry, failed_by(&server)), NO_PARAMS)?;
    add_consumers(&mut queues, &index, &states, &rows);
    rotation::find_holders(client, &mut queues, states, server.get("is_standby"))?;
    let lock_holders = lock::holders_of_ticker_locks(client).map_err(|error| failed().caused_by(error))?;
    Ok(Status {
        unentitled_lock_holders: lock::unentitled(&lock_holders),
        tickers: ticker_session::tickers(&lock_holders),
        database: server.get::<_, Name>("database").0,
        server_version: server.get("server_version"),
        pgq_version: server.get("pgq_version"),
        schema,
        time: server.get("time"),
        queues,
        findings: integrity::inspect_without_events(client)?,
        old_snapshots: old_snapshot::read(client)?,
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
        ticker: TickThresholds {
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

/// Adds the consumers to their queues. `index` maps ids of queues to indexes.
fn add_consumers(
    queues: &mut [QueueStatus],
    index: &HashMap<i32, usize>,
    states: &[Option<RotationState>],
    rows: &[Row],
) {
    for row in rows {
        // A queue may have been created meanwhile.
        let Some(&at) = index.get(&row.get("queue")) else { continue };
        let mut consumer = consumer(row);
        consumer.holds_up_rotation = states[at].as_ref().is_some_and(|state| state.waits_for_consumer(row));
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
