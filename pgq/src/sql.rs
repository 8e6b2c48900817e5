//! The statements that the crate sends. Values are parameters; names are quoted by the server.

use postgres_protocol::escape::escape_literal;

pub(crate) use self::maintenance::{MAINTENANCE, maintain, operations};
use crate::names::bytes;

pub(crate) mod batch;
pub(crate) mod dependents;
pub(crate) mod encoding;
pub(crate) mod failed;
pub(crate) mod integrity;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod path;
pub(crate) mod retry;
pub(crate) mod rights;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod ticker;
pub(crate) mod trust;

/// What of PgQ there is, and what this role may do about it.
///
/// A dump of a database with the extension has the failed events, but not the trigger on the extension's table.
pub(crate) const SCHEMA_STATE: &str = "select \
     pg_catalog.to_regprocedure('pgq.next_batch_custom(pg_catalog.text,pg_catalog.text,pg_catalog.interval,pg_catalog.int4,pg_catalog.interval)') is not null as usable, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq') as extension, \
     exists (select from pg_catalog.pg_available_extensions where name = 'pgq') as available, \
     exists (select from pg_catalog.pg_available_extension_versions \
         where name = 'pgq' and (not superuser or trusted or pg_catalog.current_setting('is_superuser')::pg_catalog.bool)) \
         and pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create') as creatable, \
     exists (select from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid) \
         or exists (select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid) as occupied, \
     coalesce((select pg_catalog.pg_has_role(relowner, 'usage') from pg_catalog.pg_class \
         where oid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid), \
         (select pg_catalog.pg_has_role(nspowner, 'usage') from pg_catalog.pg_namespace where nspname = 'pgq'), \
         false) as owned, \
     (select pg_catalog.count(*) = 3 from pg_catalog.pg_roles where rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')) as roles, \
     exists (select from pg_catalog.pg_proc cross join lateral pg_catalog.aclexplode(proacl) acl \
         where pg_proc.oid = pg_catalog.to_regprocedure('pgq.finish_batch(bigint)')::pg_catalog.oid \
         and acl.grantee = pg_catalog.to_regrole('pgq_reader')::pg_catalog.oid) as granted, \
     array(select name from pg_catalog.unnest(array['pgq.finish_batch(bigint)', \
             'pgq.event_failed(bigint,bigint,pg_catalog.text)', 'pgq_coop.finish_batch(bigint)']) name \
         join pg_catalog.pg_proc on pg_proc.oid = pg_catalog.to_regprocedure(name)::pg_catalog.oid where proacl is null) as open, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq_coop') as coop_extension, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq')::pg_catalog.oid, 'pg_namespace') as pgq, \
     (select pg_catalog.obj_description(pg_catalog.to_regclass('pgq.failed_queue'), 'pg_class') from pg_catalog.pg_trigger \
         where tgrelid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid and tgname = 'failed_queue_cleanup') as failed, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq_coop')::pg_catalog.oid, 'pg_namespace') as coop, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq._release()')::pg_catalog.oid) as pgq_source, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq._failed_release()')::pg_catalog.oid \
         and pg_catalog.to_regclass('pgq.failed_queue') is not null \
         and exists (select from pg_catalog.pg_trigger \
             where tgrelid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid and tgname = 'failed_queue_cleanup')) \
         as failed_source, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq_coop._release()')::pg_catalog.oid) as coop_source";

/// Whether PgQ is there, which one, and the first schema before the catalogue in the search path, or null. The operators of
/// this statement are the catalogue's all the same.
pub(crate) const SCHEMA_PRESENT: &str = concat!(
    "select pg_catalog.to_regprocedure('pgq.next_batch_custom(pg_catalog.text,pg_catalog.text,pg_catalog.interval,pg_catalog.int4,pg_catalog.interval)') is not null as usable, \
     exists (select from pg_catalog.pg_extension where extname operator(pg_catalog.=) 'pgq') as extension, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq')::pg_catalog.oid, 'pg_namespace') as pgq, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid operator(pg_catalog.=) pg_catalog.to_regprocedure('pgq._release()')::pg_catalog.oid) as pgq_source, \
     (select ",
    bytes!("schemas[1]"),
    " from (select pg_catalog.array_remove(pg_catalog.current_schemas(true)::pg_catalog.text[], \
             (select nspname::pg_catalog.text from pg_catalog.pg_namespace \
                 where oid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema())) offset 0) path (schemas) \
         where schemas[1] operator(pg_catalog.<>) 'pg_catalog') as before_catalogue"
);

/// How much there is in schema `pgq`, and which triggers elsewhere use it.
pub(crate) const SCHEMA_CONTENTS: &str = "select (select pg_catalog.count(*) from pgq.queue), (select pg_catalog.count(*) from pgq.subscription), \
     array(select pg_catalog.format('`%s` on `%s`', tgname, tgrelid::pg_catalog.regclass) from pg_catalog.pg_trigger \
         join pg_catalog.pg_proc on pg_proc.oid = tgfoid join pg_catalog.pg_class on pg_class.oid = tgrelid \
         where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and relnamespace <> pronamespace \
         and not tgisinternal order by 1)";

/// Has every statement see what others have committed before it.
pub(crate) const READ_COMMITTED: &str = "set local transaction isolation level read committed";

/// Keeps what is left unchanged from being told.
pub(crate) const TELL_LESS: &str = "set local client_min_messages = warning";

pub(crate) const CREATE_EXTENSION: &str = "create extension if not exists pgq";

/// $1 queue. Returns 1 when it was created, 0 when it was there.
pub(crate) const CREATE_QUEUE: &str = "select pgq.create_queue($1)";

/// Makes the transaction's commit wait for the disk, also where the setting says otherwise.
macro_rules! wait_for_disk {
    () => {
        "case when pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off' \
             then pg_catalog.set_config('synchronous_commit', 'on', true) end"
    };
}

/// The commit of a registration waits for the disk, since the record of the consumer in another place is made or forgotten
/// with it.
pub(crate) const WAIT_FOR_DISK: &str = concat!("select ", wait_for_disk!());

/// No lock of the transaction is waited for longer than five seconds from here on, unless the session has a limit.
/// Returns the limit as it was.
pub(crate) const WAIT_FOR_A_WHILE: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s'::pg_catalog.text else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// $1 limit.
pub(crate) const SET_LOCK_TIMEOUT: &str =
    "select pg_catalog.set_config('lock_timeout', $1::pg_catalog.text, true)";

/// $1 queue. Keeps others from registering consumers.
pub(crate) const HOLD_QUEUE: &str = "select queue_id from pgq.queue where queue_name = $1 for update";

/// $1 queue. Its tables. No row: there is no such queue.
pub(crate) const QUEUE_TABLES: &str = "select array(select pg_catalog.format('%s_%s', queue_data_pfx, part) \
         from pg_catalog.generate_series(0, queue_ntables - 1) part) \
     from pgq.queue where queue_name = $1";

/// $1 queue. No row: there is no such queue.
pub(crate) const QUEUE_EXISTS: &str = "select true from pgq.queue where queue_name = $1";

/// $1 queue, $2 whether to unregister its consumers. No row: there is no such queue.
pub(crate) const DROP_QUEUE: &str =
    "select pgq.drop_queue(queue_name, $2) from pgq.queue where queue_name = $1";

pub(crate) const QUEUE_NAMES: &str =
    concat!("select ", bytes!("queue_name"), " from pgq.queue order by queue_name");

/// $1 queue. The table of events, quoted, the names of consumers, and the table again if row security hides some of its
/// events. No row: there is no such queue.
pub(crate) const QUEUE_CONTENTS: &str = concat!(
    "select pgq.quote_fqname(queue_data_pfx), array( \
         select ",
    bytes!("co_name"),
    " from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id order by co_name), \
     case when pg_catalog.row_security_active(pg_catalog.to_regclass(pgq.quote_fqname(queue_data_pfx))::pg_catalog.oid) \
         then queue_data_pfx end \
     from pgq.queue where queue_name = $1"
);

/// More events are not counted.
pub(crate) const COUNTED_EVENTS: u64 = 1_000_000;

/// Makes the query that counts the events of a table, whose name is quoted already.
pub(crate) fn count_events(table: &str) -> String {
    format!("select pg_catalog.count(*) from (select from {table} limit {}) counted", COUNTED_EVENTS + 1)
}

/// Makes the query that counts what consumers have put aside. $1 queue, $2 consumer or null for all.
pub(crate) fn set_aside(retry: bool, failed: status::Failed) -> String {
    let of = |table: &str| {
        format!("(select pg_catalog.count(*) from pgq.{table} join owners on ev_owner = sub_id)")
    };
    let retry = if retry { of("retry_queue") } else { "0::pg_catalog.int8".to_owned() };
    let failed = match failed {
        status::Failed::Table => of("failed_queue"),
        status::Failed::Function => {
            "(select coalesce(pg_catalog.sum(pgq.failed_event_count($1, name)), 0)::pg_catalog.int8 from owners)".to_owned()
        }
        status::Failed::Hidden => "0::pg_catalog.int8".to_owned(),
    };
    format!(
        "with owners as (select sub_id, pg_catalog.min(co_name) as name from pgq.subscription \
             join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer \
             where queue_name = $1 and (co_name = $2 or $2 is null) group by sub_id) \
         select {retry}, {failed}"
    )
}

/// $1 queue or null for all.
pub(crate) const QUEUE_CONFIGS: &str = concat!(
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

/// $1 queue, $2 value, $3 variable without `queue_`. No row: there is no such queue.
pub(crate) const SET_QUEUE_CONFIG: &str =
    "select pgq.set_queue_config(queue_name, $3, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_DISABLE_INSERT: &str =
    "update pgq.queue set queue_disable_insert = $2::pg_catalog.text::pg_catalog.bool where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_PER_TX_LIMIT: &str = "update pgq.queue set queue_per_tx_limit = nullif($2::pg_catalog.text, '')::pg_catalog.int4 where queue_name = $1";

/// $1 queue, $2 value.
pub(crate) const SET_EXTRA_MAINT: &str = "update pgq.queue set queue_extra_maint = nullif($2::pg_catalog.text, '')::pg_catalog.text[] where queue_name = $1";

/// $1 value. One with which the present cannot be calculated would fail every round of maintenance.
pub(crate) const IS_INTERVAL: &str = "select pg_catalog.isfinite(value) and extract(epoch from value) >= 0.0 and pg_catalog.now() - value <= pg_catalog.now() + value \
     from (select $1::pg_catalog.text::interval as value) given";

/// $1 value.
pub(crate) const IS_COUNT: &str = "select $1::pg_catalog.text::pg_catalog.int4 >= 0";

/// $1 value.
pub(crate) const IS_FLAG: &str = "select $1::pg_catalog.text::pg_catalog.bool is not null";

/// $1 value.
pub(crate) const IS_LIMIT: &str = "select coalesce(nullif($1::pg_catalog.text, '')::pg_catalog.int4, 0) >= 0";

/// $1 value.
pub(crate) const ARE_FUNCTIONS: &str = "select coalesce(pg_catalog.bool_and(pg_catalog.to_regprocedure(pgq.quote_fqname(name) || '(pg_catalog.text)') is not null), true) \
     from pg_catalog.unnest(nullif($1::pg_catalog.text, '')::pg_catalog.text[]) name";

/// $1 queue, $2 consumer. Its tick and batch, and the consumer whose position it shares, if it is a subconsumer.
/// No row: there is no such queue; a null id: no such consumer.
///
/// A subconsumer's name begins with its consumer's; its row may look like any other at times.
pub(crate) const CONSUMER_POSITION: &str = concat!(
    "select sub_id, sub_last_tick, sub_batch, ( \
         select ",
    bytes!("name.co_name"),
    " from pgq.subscription other join pgq.consumer name on name.co_id = other.sub_consumer \
         where other.sub_queue = queue_id and other.sub_id = own.sub_id and other.sub_consumer <> own.sub_consumer \
             and (pg_catalog.starts_with($2, name.co_name || '.') or own.sub_last_tick is null) \
         order by pg_catalog.starts_with($2, name.co_name || '.') desc, pg_catalog.length(name.co_name) limit 1) \
     from pgq.queue \
     left join (pgq.subscription own join pgq.consumer on co_id = own.sub_consumer and co_name = $2) \
         on own.sub_queue = queue_id \
     where queue_name = $1"
);

/// $1 queue. Consumers with a position of their own. No row: there is no such queue.
pub(crate) const CONSUMER_NAMES: &str = concat!(
    "select array( \
         select ",
    bytes!("co_name"),
    " from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and sub_last_tick is not null order by co_name) \
     from pgq.queue where queue_name = $1"
);

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

/// $1 queue, $2 tick. Whether it is there, the first and the last one. No row: there is no such queue.
pub(crate) const TICKS: &str = "select \
         exists (select from pgq.tick where tick_queue = queue_id and tick_id = $2), \
         (select pg_catalog.min(tick_id) from pgq.tick where tick_queue = queue_id), \
         (select pg_catalog.max(tick_id) from pgq.tick where tick_queue = queue_id) \
     from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 subconsumer. No row: there is no such queue.
pub(crate) const REGISTER_SUBCONSUMER: &str = concat!(
    "select pgq_coop.register_subconsumer(queue_name, $2, $3), ",
    wait_for_disk!(),
    " from pgq.queue where queue_name = $1"
);

/// Whether a queue's row, as this transaction sees it, is from before a rotation. A transaction that keeps its snapshot
/// does not see the rotation; but the table that it empties has another file from then on, which `pg_relation_filenode`
/// knows and the row in `pg_class` does not. Asking for the size first makes the session take note of what others have
/// changed, which it does whenever it locks a table anew: either this lock is new, or the table was locked before and
/// nobody could empty it since.
macro_rules! is_stale {
    () => {
        "case when pg_catalog.current_setting('transaction_isolation') in ('repeatable read', 'serializable') then ( \
             select case when pg_catalog.pg_relation_size(oid::pg_catalog.regclass, 'main') >= 0 \
                 then relfilenode <> pg_catalog.pg_relation_filenode(oid::pg_catalog.regclass) end \
             from pg_catalog.pg_class \
             where oid = pg_catalog.to_regclass(pgq.quote_fqname(pg_catalog.format('%s_%s', queue_data_pfx, \
                 (queue_cur_table + 1) % queue_ntables)))::pg_catalog.oid) is true else false end"
    };
}

/// $1 queue, $2 type, $3 data, $4 to $7 extras. The event's id, and whether it was not inserted since the queue's tables
/// were rotated after the transaction's snapshot; then [`rotated`] makes an error of it. No row: there is no such queue.
pub(crate) const INSERT_EVENT: &str = concat!(
    "select case when not stale then pgq.insert_event(queue_name, $2, $3, $4, $5, $6, $7) end, stale from ( \
         select queue_name, ",
    is_stale!(),
    " as stale from pgq.queue where queue_name = $1 and pg_catalog.txid_current() > 0 offset 0) asked"
);

/// $1 queue, $2 whether to lift the limits of the role for the rest of the transaction, $3 whether its commit waits for the
/// disk, also where the setting says otherwise. The table, quoted, the transaction's time, the limit on statements if it was lifted, and as in [`INSERT_EVENT`] whether the table is the wrong one. No
/// row: there is no such queue.
///
/// For the rest of the transaction, a database without an encoding takes bytes as they are, since it could convert none of
/// them.
///
/// The transaction has its id before the function looks for the table, with a snapshot of its own: who may write into the
/// table before the current one then has a lower id than the second step of the rotation, up to which consumers read that
/// table.
pub(crate) const CURRENT_EVENT_TABLE: &str = concat!(
    "select pgq.quote_fqname(chosen.name), pg_catalog.now(), ",
    is_stale!(),
    ", (select case when pg_catalog.set_config('statement_timeout', '0', true) is not null then before end from ( \
             select pg_catalog.current_setting('statement_timeout') as before where $2 offset 0) limited), \
     case when $2 then ",
    batch::lift_limits!(),
    " end, case when $3::pg_catalog.bool then ",
    wait_for_disk!(),
    " end, case when pg_catalog.current_setting('server_encoding') = 'SQL_ASCII' \
         then pg_catalog.set_config('client_encoding', 'SQL_ASCII', true) end",
    " from ( \
         select queue_name, queue_data_pfx, queue_cur_table, queue_ntables from pgq.queue \
         where queue_name = $1 and pg_catalog.txid_current() > 0 offset 0) asked \
     cross join lateral pgq.current_event_table(asked.queue_name) chosen (name)"
);

/// Makes the statement that fails as one which cannot be serialized with a rotation of the queue, and the transaction
/// with it.
pub(crate) fn rotated(queue: &str) -> String {
    let message = format!("could not serialize access due to rotation of queue \"{queue}\"");
    let body = format!(
        "begin raise exception using errcode = '40001', message = {}; end",
        escape_literal(&message).trim_start()
    );
    format!("do {}", escape_literal(&body))
}

pub(crate) const TICK: &str = "select pgq.ticker()";

/// $1 queue. Makes the queue look busy.
pub(crate) const FORCE_TICK: &str = "select pgq.force_tick($1)";

/// $1 queue. The tick, or null when none was made.
pub(crate) const TICK_QUEUE: &str = "select pgq.ticker($1)";

/// Which tables of positions row security hides from this role, or null.
pub(crate) const HIDDEN: &str = concat!("select ", batch::hidden_positions!());
