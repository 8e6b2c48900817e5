//! The statements that read a database's status.

use crate::names::bytes;

/// Where this is, and what this role may see of the events that wait.
pub(crate) const SERVER: &str = concat!(
    "select ",
    bytes!("pg_catalog.current_database()::pg_catalog.text"),
    " as database, \
     pg_catalog.current_setting('server_version') as server_version, pg_catalog.pg_is_in_recovery() as is_standby, pgq.version() as pgq_version, pg_catalog.now() as time, \
     coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.retry_queue'), 'select'), false) as retry, \
     coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.failed_queue'), 'select'), false) as failed, \
     coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('pgq.failed_event_count(pg_catalog.text,pg_catalog.text)'), 'execute'), false) \
         as failed_count, \
     (select pg_catalog.string_agg(name, ', '::pg_catalog.text) from pg_catalog.unnest(array[ \
         'pgq.queue'::pg_catalog.text, 'pgq.tick', 'pgq.consumer', 'pgq.subscription', 'pgq.retry_queue', \
         'pgq.failed_queue']) name \
     where pg_catalog.row_security_active(pg_catalog.to_regclass(name)::pg_catalog.oid)) as hidden"
);

/// Makes the query for all queues; `retry` tells whether this role can read the retry events.
///
/// The ids are those of transactions by which rotation is decided: that of the last rotation, the oldest that ran at
/// the last tick and the first that had not begun then, and the oldest that runs now. The table is the one that the
/// next rotation empties.
///
/// The extension's `pgq.get_queue_info` would fail at a tick of `infinity` before PostgreSQL 17. Events per second are those
/// of the last twenty ticks.
pub(crate) fn queues(retry: bool) -> String {
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
             pgq.seq_getval(que.queue_event_seq) - last.tick_event_seq as new_events, last.tick_id as last_tick, \
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

/// How failed events can be counted.
#[derive(Clone, Copy)]
pub(crate) enum Failed {
    Table,
    Function,
    Hidden,
}

/// Makes the query for all consumers of all queues.
///
/// A subconsumer has the id of its consumer, whose name its own begins with; what waits counts for the consumer.
pub(crate) fn consumers(retry: bool, failed: Failed) -> String {
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

/// Describes the transactions that hold locks `held`, as far as this role may see them. A prepared transaction has
/// no process; the lock on its id, which every transaction has that has an id, tells which one it is.
macro_rules! of_transactions {
    ($columns:literal, $held:literal) => {
        concat!(
            "with locks as materialized (select * from pg_catalog.pg_locks where granted) \
             select distinct ",
            $columns,
            ", held.pid, ",
            bytes!("prepared.gid"),
            " as gid, ",
            bytes!("coalesce(session.usename::pg_catalog.text, prepared.owner::pg_catalog.text)"),
            " as user_name, ",
            bytes!(
                "coalesce(nullif(session.application_name, ''), nullif(session.backend_type, 'client backend'))"
            ),
            " as application, ",
            bytes!("coalesce(session.datname::pg_catalog.text, prepared.database::pg_catalog.text)"),
            " as database, session.state, \
             extract(epoch from pg_catalog.now() - coalesce(session.xact_start, prepared.prepared))::pg_catalog.float8 as age \
             from (",
            $held,
            ") held \
             left join pg_catalog.pg_stat_activity session on session.pid = held.pid \
             left join locks own on held.pid is null and own.pid is null \
                 and own.virtualtransaction = held.virtualtransaction and own.locktype = 'transactionid' \
             left join pg_catalog.pg_prepared_xacts prepared on prepared.transaction = own.transactionid \
             where held.pid is not null or prepared.gid is not null \
             order by ",
            $columns
        )
    };
}

/// $1 a transaction's id. The cluster's running transactions with this id or an older one, the oldest first.
///
/// Everybody may see the locks that transactions have on their ids. They show 32 bits; no running transaction is
/// farther than 2^31 from the next id.
pub(crate) const OLD_TRANSACTIONS: &str = of_transactions!(
    "held.id",
    "select * from ( \
         select pid, virtualtransaction, pg_catalog.min(next - ((next - short + 2147483648) & 4294967295) + 2147483648) as id \
         from (select pid, virtualtransaction, transactionid::pg_catalog.text::pg_catalog.int8 as short from locks \
               where locktype = 'transactionid' and mode = 'ExclusiveLock') running, \
              (select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) as next) counter \
         group by 1, 2) running \
     where id <= $1"
);

/// $1 names of tables. Who uses them.
pub(crate) const TABLE_LOCKS: &str = of_transactions!(
    "held.name",
    "select name, pid, virtualtransaction from locks \
     join pg_catalog.unnest($1::pg_catalog.text[]) name on relation = pg_catalog.to_regclass(name)::pg_catalog.oid \
     where locktype = 'relation' \
         and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())"
);
