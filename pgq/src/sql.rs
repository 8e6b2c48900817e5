//! The statements that the crate sends. Values are parameters; names are quoted by the server.

use postgres_protocol::escape::escape_literal;

pub(crate) mod retry;
pub(crate) mod status;
pub(crate) mod ticker;

/// What of PgQ there is, and what this role may do about it.
///
/// A dump of a database with the extension has the failed events, but not the trigger on the extension's table.
pub(crate) const SCHEMA_STATE: &str = "select \
     to_regprocedure('pgq.next_batch_custom(text,text,interval,int4,interval)') is not null as usable, \
     exists (select from pg_extension where extname = 'pgq') as extension, \
     exists (select from pg_available_extensions where name = 'pgq') as available, \
     exists (select from pg_available_extension_versions \
         where name = 'pgq' and (not superuser or trusted or current_setting('is_superuser')::bool)) \
         and has_database_privilege(current_database(), 'create') as creatable, \
     exists (select from pg_class where relnamespace = to_regnamespace('pgq')) \
         or exists (select from pg_proc where pronamespace = to_regnamespace('pgq')) as occupied, \
     coalesce((select pg_has_role(relowner, 'usage') from pg_class \
         where oid = to_regclass('pgq.subscription')), false) as owned, \
     (select count(*) = 3 from pg_roles where rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')) as roles, \
     exists (select from pg_roles where rolname = 'pgq_reader' \
         and has_function_privilege(oid, to_regprocedure('pgq.finish_batch(bigint)'), 'execute')) as granted, \
     exists (select from pg_extension where extname = 'pgq_coop') as coop_extension, \
     obj_description(to_regnamespace('pgq'), 'pg_namespace') as pgq, \
     (select obj_description(to_regclass('pgq.failed_queue'), 'pg_class') from pg_trigger \
         where tgrelid = to_regclass('pgq.subscription') and tgname = 'failed_queue_cleanup') as failed, \
     obj_description(to_regnamespace('pgq_coop'), 'pg_namespace') as coop";

/// How much there is in schema `pgq`, and which triggers elsewhere use it.
pub(crate) const SCHEMA_CONTENTS: &str = "select (select count(*) from pgq.queue), (select count(*) from pgq.subscription), \
     array(select format('`%s` on `%s`', tgname, tgrelid::regclass) from pg_trigger \
         join pg_proc on pg_proc.oid = tgfoid join pg_class on pg_class.oid = tgrelid \
         where pronamespace = 'pgq'::regnamespace and relnamespace <> pronamespace \
         and not tgisinternal order by 1)";

/// Keeps two installations at once from getting into each other's way.
pub(crate) const LOCK_INSTALL: &str = "select pg_advisory_xact_lock(hashtextextended('pgq install', 0))::text; \
     set local client_min_messages = warning";

pub(crate) const CREATE_EXTENSION: &str = "create extension if not exists pgq";

/// $1 queue. Returns 1 when it was created, 0 when it was there.
pub(crate) const CREATE_QUEUE: &str = "select pgq.create_queue($1)";

/// The key of a queue's lock.
macro_rules! queue_key {
    () => {
        "hashtextextended(format('pgq queue %L', $1::text), 0)"
    };
}

/// $1 queue. Whoever creates or drops it waits for its turn.
pub(crate) const LOCK_QUEUE: &str = concat!("select pg_advisory_xact_lock(", queue_key!(), ")::text");

/// $1 queue, $2 consumer. Whoever registers that consumer waits for its turn, and whoever drops the queue too.
pub(crate) const LOCK_REGISTRATION: &str = concat!(
    "select pg_advisory_xact_lock_shared(",
    queue_key!(),
    ")::text, pg_advisory_xact_lock(hashtextextended(format('pgq consumer %L', $2::text), 0))::text"
);

/// $1 queue. As [`LOCK_QUEUE`], and no lock of the transaction is waited for longer than five seconds from here on,
/// unless the session has a limit. Returns the limit as it was.
pub(crate) const LOCK_QUEUE_FOR_A_WHILE: &str = concat!(
    "select before, set_config('lock_timeout', case before when '0' then '5s' else before end, true), \
     pg_advisory_xact_lock(",
    queue_key!(),
    ")::text from (select current_setting('lock_timeout') as before offset 0) setting"
);

/// $1 limit.
pub(crate) const SET_LOCK_TIMEOUT: &str = "select set_config('lock_timeout', $1::text, true)";

/// $1 queue. Keeps others from registering consumers.
pub(crate) const HOLD_QUEUE: &str = "select queue_id from pgq.queue where queue_name = $1 for update";

/// $1 queue. Its tables. No row: there is no such queue.
pub(crate) const QUEUE_TABLES: &str = "select array(select format('%s_%s', queue_data_pfx, part) \
         from generate_series(0, queue_ntables - 1) part) \
     from pgq.queue where queue_name = $1";

/// $1 queue. No row: there is no such queue.
pub(crate) const QUEUE_EXISTS: &str = "select true from pgq.queue where queue_name = $1";

/// $1 queue, $2 whether to unregister its consumers. No row: there is no such queue.
pub(crate) const DROP_QUEUE: &str =
    "select pgq.drop_queue(queue_name, $2) from pgq.queue where queue_name = $1";

pub(crate) const QUEUE_NAMES: &str = "select queue_name from pgq.queue order by queue_name";

/// $1 queue. The table of events, quoted, and the names of consumers. No row: there is no such queue.
pub(crate) const QUEUE_CONTENTS: &str = "select pgq.quote_fqname(queue_data_pfx), array( \
         select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id order by co_name) \
     from pgq.queue where queue_name = $1";

/// More events are not counted.
pub(crate) const COUNTED_EVENTS: u64 = 1_000_000;

/// Makes the query that counts the events of a table, whose name is quoted already.
pub(crate) fn count_events(table: &str) -> String {
    format!("select count(*) from (select from {table} limit {}) counted", COUNTED_EVENTS + 1)
}

/// Makes the query that counts what consumers have put aside. $1 queue, $2 consumer or null for all.
pub(crate) fn set_aside(retry: bool, failed: status::Failed) -> String {
    let of = |table: &str| format!("(select count(*) from pgq.{table} join owners on ev_owner = sub_id)");
    let retry = if retry { of("retry_queue") } else { "0::int8".to_owned() };
    let failed = match failed {
        status::Failed::Table => of("failed_queue"),
        status::Failed::Function => {
            "(select coalesce(sum(pgq.failed_event_count($1, name)), 0)::int8 from owners)".to_owned()
        }
        status::Failed::Hidden => "0::int8".to_owned(),
    };
    format!(
        "with owners as (select sub_id, min(co_name) as name from pgq.subscription \
             join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer \
             where queue_name = $1 and (co_name = $2 or $2 is null) group by sub_id) \
         select {retry}, {failed}"
    )
}

/// $1 queue or null for all.
pub(crate) const QUEUE_CONFIGS: &str = "select queue_name, queue_ticker_max_count, queue_ticker_paused, queue_external_ticker, \
         queue_disable_insert, queue_per_tx_limit, \
         extract(epoch from queue_ticker_max_lag)::float8 as max_lag, \
         extract(epoch from queue_ticker_idle_period)::float8 as idle_period, \
         extract(epoch from queue_rotation_period)::float8 as rotation_period, \
         array_remove(coalesce(queue_extra_maint, '{}'), null) as extra_maint \
     from pgq.queue where queue_name = $1 or $1 is null order by queue_name";

/// $1 queue, $2 value, $3 variable without `queue_`. No row: there is no such queue.
pub(crate) const SET_QUEUE_CONFIG: &str =
    "select pgq.set_queue_config(queue_name, $3, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_DISABLE_INSERT: &str =
    "update pgq.queue set queue_disable_insert = $2::text::bool where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_PER_TX_LIMIT: &str =
    "update pgq.queue set queue_per_tx_limit = nullif($2::text, '')::int4 where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_EXTRA_MAINT: &str =
    "update pgq.queue set queue_extra_maint = nullif($2::text, '')::text[] where queue_name = $1";

/// $1 value. One with which the present cannot be calculated would fail every round of maintenance.
pub(crate) const IS_INTERVAL: &str = "select isfinite(value) and extract(epoch from value) >= 0 and now() - value <= now() + value \
     from (select $1::text::interval as value) given";

/// $1 value.
pub(crate) const IS_COUNT: &str = "select $1::text::int4 >= 0";

/// $1 value.
pub(crate) const IS_FLAG: &str = "select $1::text::bool is not null";

/// $1 value.
pub(crate) const IS_LIMIT: &str = "select coalesce(nullif($1::text, '')::int4, 0) >= 0";

/// $1 value.
pub(crate) const ARE_FUNCTIONS: &str = "select coalesce(bool_and(to_regprocedure(pgq.quote_fqname(name) || '(text)') is not null), true) \
     from unnest(nullif($1::text, '')::text[]) name";

/// $1 queue, $2 consumer. Its tick and batch, and the consumer whose position it shares, if it is a subconsumer.
/// No row: there is no such queue; a null id: no such consumer.
///
/// A subconsumer's name begins with its consumer's; its row may look like any other at times.
pub(crate) const CONSUMER_POSITION: &str = "select sub_id, sub_last_tick, sub_batch, ( \
         select name.co_name from pgq.subscription other join pgq.consumer name on name.co_id = other.sub_consumer \
         where other.sub_queue = queue_id and other.sub_id = own.sub_id and other.sub_consumer <> own.sub_consumer \
             and (starts_with($2, name.co_name || '.') or own.sub_last_tick is null) \
         order by starts_with($2, name.co_name || '.') desc, length(name.co_name) limit 1) \
     from pgq.queue \
     left join (pgq.subscription own join pgq.consumer on co_id = own.sub_consumer and co_name = $2) \
         on own.sub_queue = queue_id \
     where queue_name = $1";

/// $1 queue. Consumers with a position of their own. No row: there is no such queue.
pub(crate) const CONSUMER_NAMES: &str = "select array( \
         select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and sub_last_tick is not null order by co_name) \
     from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer. No row: there is no such queue.
pub(crate) const IS_REGISTERED: &str = "select exists ( \
         select from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and co_name = $2) \
     from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer. No row: there is no such queue.
pub(crate) const REGISTER: &str =
    "select pgq.register_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 tick. No row: there is no such queue.
pub(crate) const REGISTER_AT: &str =
    "select pgq.register_consumer_at(queue_name, $2, $3) from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer. No row: there is no such queue.
pub(crate) const UNREGISTER: &str =
    "select pgq.unregister_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 subconsumer. The events of an open batch come back to the others.
pub(crate) const UNREGISTER_SUBCONSUMER: &str = "select pgq_coop.unregister_subconsumer($1, $2, $3, 1)";

/// Makes the statement that opens a batch, out of the consumer's lock name and the function that opens it.
///
/// $1 queue, $2 consumer, $3 least lag, $4 least number of events, $5 least interval, times in seconds; $6
/// whether to take all ticks up to the last one as one batch, or as many as it takes to reach $4 events; $7
/// whether the lock is held elsewhere; $8 whether the commit need not wait for the disk. No row: another process
/// has the lock.
///
/// The function gets its arguments from `guard`, so it cannot run before the lock is taken. With $6 the server
/// searches for the first tick that is $4 events or the given interval away; the interval is the distance to the
/// last tick, so there always is one.
macro_rules! next_batch {
    ($lock:literal, $function:literal, $more:literal) => {
        concat!(
            "select batch_id, prev_tick_id, cur_tick_id, prev_tick_time, cur_tick_time from ( \
                 select $1::text as queue, $2::text as consumer \
                 where case when $7 then true else pg_try_advisory_xact_lock(hashtextextended(",
            $lock,
            ", 0)) end \
                     and case when $8 then set_config('synchronous_commit', 'off', true) is not null else true end \
                 offset 0) guard \
             cross join lateral ",
            $function,
            ", make_interval(secs => $3), $4, case when not $6 then make_interval(secs => $5) else ( \
                 select last.tick_time - own.tick_time \
                 from pgq.queue \
                 join pgq.subscription on sub_queue = queue_id \
                 join pgq.consumer on co_id = sub_consumer \
                 join pgq.tick own on own.tick_queue = queue_id and own.tick_id = sub_last_tick \
                 cross join lateral ( \
                     select tick_time from pgq.tick where tick_queue = queue_id \
                     order by tick_queue desc, tick_id desc limit 1) last \
                 where queue_name = $1 and co_name = $2) end",
            $more,
            ")"
        )
    };
}

pub(crate) const NEXT_BATCH: &str =
    next_batch!("format('pgq %L %L', $1, $2)", "pgq.next_batch_custom(guard.queue, guard.consumer", "");

/// $9 subconsumer, $10 the time after which another one is dead, in seconds.
pub(crate) const NEXT_COOP_BATCH: &str = next_batch!(
    "format('pgq %L %L', $1, $2 || '.' || $9)",
    "pgq_coop.next_batch_custom(guard.queue, guard.consumer, $9",
    ", make_interval(secs => $10)"
);

/// $1 batch, $2 queue, $3 the consumer's name in its lock, $4 whether the lock is held elsewhere. Takes the lock
/// before it looks for the batch, so that a batch which another process has just finished is not found. Then the query
/// for the batch's events, and whether many can be tagged at once.
pub(crate) const OPEN_BATCH: &str = "select case when $4 then true \
         else pg_try_advisory_xact_lock(hashtextextended(format('pgq %L %L', $2, $3), 0)) end, \
     pgq.batch_event_sql($1), to_regprocedure('pgq.event_retry_many(bigint,bigint[],integer[])') is not null";

pub(crate) const BEGIN_LOCK: &str = "begin isolation level read committed";

/// $1 queue, $2 the consumer's name in its lock.
pub(crate) const HOLD_LOCK: &str =
    "select pg_try_advisory_xact_lock(hashtextextended(format('pgq %L %L', $1::text, $2::text), 0))";

/// Lets a transaction that holds nothing but a lock stay open for ever, and end soon when the client is gone without
/// a word.
pub(crate) const KEEP_LOCK: &str = "select set_config(name, value, true) from (values \
         ('idle_in_transaction_session_timeout', '0'), ('transaction_timeout', '0'), \
         ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'), \
         ('tcp_user_timeout', '10s')) settings (name, value) \
     where current_setting(name, true) is not null";

/// $1 batch, $2 event ids, $3 seconds.
pub(crate) const RETRY_EACH: &str = "select pgq.event_retry($1, event, seconds) from unnest($2::int8[], $3::int4[]) as tagged (event, seconds)";

/// $1 batch, $2 event ids, $3 seconds.
pub(crate) const RETRY_MANY: &str = "select pgq.event_retry_many($1, $2, $3)";

/// $1 batch, $2 event ids, $3 reasons.
pub(crate) const FAIL_MANY: &str = "select pgq.event_failed_many($1, $2, $3)";

/// $1 queue, $2 tick.
pub(crate) const TICK_EXISTS: &str = "select exists ( \
         select from pgq.tick join pgq.queue on queue_id = tick_queue \
         where queue_name = $1 and tick_id = $2)";

/// $1 queue, $2 tick. Whether it is there, the first and the last one. No row: there is no such queue.
pub(crate) const TICKS: &str = "select \
         exists (select from pgq.tick where tick_queue = queue_id and tick_id = $2), \
         (select min(tick_id) from pgq.tick where tick_queue = queue_id), \
         (select max(tick_id) from pgq.tick where tick_queue = queue_id) \
     from pgq.queue where queue_name = $1";

/// $1 batch.
pub(crate) const FINISH_BATCH: &str = "select pgq.finish_batch($1)";

/// $1 batch.
pub(crate) const FINISH_COOP_BATCH: &str = "select pgq_coop.finish_batch($1)";

/// $1 queue, $2 consumer, $3 subconsumer. No row: there is no such queue.
pub(crate) const REGISTER_SUBCONSUMER: &str =
    "select pgq_coop.register_subconsumer(queue_name, $2, $3) from pgq.queue where queue_name = $1";

/// $1 queue, $2 type, $3 data, $4 to $7 extras. No row: there is no such queue.
pub(crate) const INSERT_EVENT: &str =
    "select pgq.insert_event(queue_name, $2, $3, $4, $5, $6, $7) from pgq.queue where queue_name = $1";

/// $1 queue. No row: there is no such queue.
pub(crate) const CURRENT_EVENT_TABLE: &str = "select pgq.quote_fqname(pgq.current_event_table(queue_name)), now() from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 limit or null, $4 offset. The columns of an event, then the failure's.
pub(crate) const FAILED_EVENTS: &str = "select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, \
         ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_failed_reason, ev_failed_time \
     from pgq.failed_event_list($1, $2, $3, $4) order by ev_id";

/// $1 queue, $2 consumer.
pub(crate) const COUNT_FAILED_EVENTS: &str = "select pgq.failed_event_count($1, $2)";

/// $1 queue, $2 consumer, $3 event.
pub(crate) const RETRY_FAILED_EVENT: &str = "select pgq.failed_event_retry($1, $2, $3)";

/// $1 queue, $2 consumer, $3 event.
pub(crate) const DELETE_FAILED_EVENT: &str = "select pgq.failed_event_delete($1, $2, $3)";

/// $1 queue, $2 consumer, $3 the event behind which the page begins or null, $4 limit. As [`FAILED_EVENTS`].
pub(crate) const FAILED_EVENT_PAGE: &str = "select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, \
         ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_failed_reason, ev_failed_time \
     from pgq.failed_event_page($1, $2, $3, $4) order by ev_id";

/// $1 queue, $2 consumer, $3 the event behind which the page begins or null, $4 limit, $5 seconds since 1970 or
/// null. The ids of events that failed before that time, and the last id of the page.
pub(crate) const FAILED_EVENT_IDS: &str = "select array_agg(ev_id order by ev_id) filter (where $5 is null or ev_failed_time < to_timestamp($5)), \
         max(ev_id) \
     from pgq.failed_event_page($1, $2, $3, $4)";

/// $1 queue, $2 consumer, $3 events.
pub(crate) const RETRY_FAILED_EVENTS: &str = "select pgq.failed_event_retry_many($1, $2, $3)";

/// $1 queue, $2 consumer, $3 events.
pub(crate) const DELETE_FAILED_EVENTS: &str = "select pgq.failed_event_delete_many($1, $2, $3)";

/// $1 queue, $2 consumer, $3 events. The first event that is not there, if one is not.
pub(crate) const ABSENT_FAILED_EVENT: &str = "select id from unnest($3::int8[]) id where not exists ( \
         select from pgq.failed_event_page($1, $2, greatest(id, -9223372036854775807) - 1, 1) where ev_id = id) \
     order by id limit 1";

/// $1 interval. The time that long ago, as seconds since 1970.
pub(crate) const TIME_BEFORE: &str = "select extract(epoch from now() - $1::text::interval)::float8";

pub(crate) const TICK: &str = "select pgq.ticker()";

/// $1 queue. Makes the queue look busy.
pub(crate) const FORCE_TICK: &str = "select pgq.force_tick($1)";

/// $1 queue. The tick, or null when none was made.
pub(crate) const TICK_QUEUE: &str = "select pgq.ticker($1)";

/// What maintenance is due: the function's name and argument, and both as SQL can call them.
pub(crate) const MAINTENANCE: &str = "select func_name, func_arg, pgq.quote_fqname(func_name), pgq.quote_fqname(func_arg) from pgq.maint_operations()";

/// The columns of an event that its producer sets, and its time.
pub(crate) const EVENT_COLUMNS: &str =
    "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time";

/// The columns of an event as it is read.
const READ_COLUMNS: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// Leaves only events of some tables in a batch's query; of no tables: all.
pub(crate) fn filtered(batch_events: String, tables: &[String]) -> String {
    if tables.is_empty() {
        return batch_events;
    }
    let tables: Vec<String> = tables.iter().map(|table| escape_literal(table)).collect();
    format!("select * from ({batch_events}) whole where ev_extra1 in ({})", tables.join(", "))
}

/// Makes the query that reads a batch's events, as the server put it together.
pub(crate) fn events(batch_events: &str) -> String {
    format!("select {READ_COLUMNS} from ({batch_events}) batch order by ev_id")
}

/// As [`events`], but only the first $3 events behind that with id $1 and transaction $2, and those that are not told
/// apart from the last of them.
pub(crate) fn events_behind(batch_events: &str) -> String {
    format!(
        "select {READ_COLUMNS} from ({batch_events}) batch where (ev_id, ev_txid) > ($1, $2) \
         order by ev_id, ev_txid fetch first $3 rows with ties"
    )
}

/// Makes the statement that streams a batch's events out, with their ids or without.
pub(crate) fn copy_out(batch_events: &str, ids: bool) -> String {
    let id = if ids { "ev_id, " } else { "" };
    format!(
        "copy (select {id}{EVENT_COLUMNS} from ({batch_events}) batch order by ev_id) to stdout (format binary)"
    )
}

/// Makes the statement that streams events into a table, whose name is quoted already.
pub(crate) fn copy_in(table: &str, ids: bool) -> String {
    let id = if ids { "ev_id, " } else { "" };
    format!("copy {table} ({id}{EVENT_COLUMNS}) from stdin (format binary)")
}

/// $1 queue. Lets those that move the queue's sequence of ids take turns until they commit.
pub(crate) const LOCK_IDS: &str =
    "select pg_advisory_xact_lock(hashtextextended(format('pgq ids %L', $1), 0))::text";

/// Makes the statement that moves a queue's sequence of ids behind those that this transaction has written into a
/// table, whose name is quoted already, and by as many as there are, so that the ticker sees them. $1 queue,
/// $2 how many there are.
pub(crate) fn move_ids(table: &str) -> String {
    format!(
        "select setval(pgq.quote_fqname(queue_event_seq)::regclass, \
             greatest(pgq.seq_getval(queue_event_seq) + $2, (select max(ev_id) from {table} \
                 where ev_txid = txid_current()))) \
         from pgq.queue where queue_name = $1"
    )
}
