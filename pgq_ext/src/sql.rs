//! The statements that the crate sends.

/// Selects functions of schema `pgq_ext` by name and types. Needs no privileges on the schema.
macro_rules! functions {
    ($columns:literal) => {
        concat!(
            "select ",
            $columns,
            " from (select proc.proname operator(pg_catalog.||) '(' operator(pg_catalog.||) \
                     pg_catalog.oidvectortypes(proc.proargtypes) operator(pg_catalog.||) ')' as name, \
                     proc.oid as id, proc.proowner as owner \
                 from pg_catalog.pg_proc proc \
                 join pg_catalog.pg_namespace nsp on nsp.oid operator(pg_catalog.=) proc.pronamespace \
                 where nsp.nspname operator(pg_catalog.=) 'pgq_ext') known where known.name operator(pg_catalog.=) any "
        )
    };
}

pub(crate) const IS_INSTALLED: &str = concat!(
    functions!("pg_catalog.count(*) operator(pg_catalog.=) 2"),
    "(array['set_last_tick(text, bigint)', 'set_batch_done(text, bigint)'])"
);

/// Returns true if the interface is complete and belongs to another role.
pub(crate) const IS_ANOTHERS: &str = concat!(
    functions!("pg_catalog.count(*) operator(pg_catalog.=) 22"),
    "(array[ \
         'get_last_tick(text)', 'get_last_tick(text, text)', 'set_last_tick(text, bigint)', \
         'set_last_tick(text, text, bigint)', 'is_batch_done(text, bigint)', 'is_batch_done(text, text, bigint)', \
         'set_batch_done(text, bigint)', 'set_batch_done(text, text, bigint)', 'is_event_done(text, bigint, bigint)', \
         'is_event_done(text, text, bigint, bigint)', 'set_event_done(text, bigint, bigint)', \
         'set_event_done(text, text, bigint, bigint)', 'is_batch_done_by_any(text, bigint)', \
         'get_last_batch(text, text)', 'get_checkpoint(text, text)', \
         'set_last_tick(text, text, bigint, timestamp with time zone)', \
         'set_event_done(text, text, bigint, bigint, timestamp with time zone)', \
         'set_batch_done(text, text, bigint, bigint, timestamp with time zone, bigint, timestamp with time zone)', \
         'get_batch_status(text, text, bigint, bigint, bigint, timestamp with time zone)', 'forget_batches(text)', \
         'begin_claims(text, text, bigint, timestamp with time zone, bigint, timestamp with time zone, \
timestamp with time zone)', \
         'claim_event(text, text, bigint, timestamp with time zone, bigint, timestamp with time zone, \
timestamp with time zone, bigint, bigint)']) \
     and not pg_catalog.pg_has_role(owner, 'usage')"
);

/// Returns true if this role may use the schema and the functions that record, and the role, quoted. Also returns true if
/// the schema was dropped.
pub(crate) const MAY_USE: &str = concat!(
    functions!(
        "coalesce(pg_catalog.bool_and(pg_catalog.has_schema_privilege('pgq_ext', 'usage')), true) \
         and coalesce(pg_catalog.bool_and(pg_catalog.has_function_privilege(known.id, 'execute')), true), \
         pg_catalog.quote_ident(current_user)"
    ),
    "(array['set_last_tick(text, bigint)', 'set_batch_done(text, bigint)'])"
);

/// Returns true if the functions that compare the times of ticks exist.
pub(crate) const KEEPS_TIMES: &str = concat!(
    functions!("pg_catalog.count(*) operator(pg_catalog.=) 5"),
    "(array['get_checkpoint(text, text)', 'set_last_tick(text, text, bigint, timestamp with time zone)', \
         'set_batch_done(text, text, bigint, bigint, timestamp with time zone, bigint, timestamp with time zone)', \
         'get_batch_status(text, text, bigint, bigint, bigint, timestamp with time zone)', 'forget_batches(text)'])"
);

/// Returns true if the schema exists, and true if the extension `pgq_ext` does.
pub(crate) const ORIGIN: &str = "select pg_catalog.to_regnamespace('pgq_ext') is not null, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq_ext')";

/// $1 consumer, $2 subconsumer or null. The key of the lock that is held until the end of the transaction, so that
/// no other session applies this consumer's batches.
pub(crate) const LOCK: &str = "pg_catalog.hashtextextended(pg_catalog.format('pgq_ext %L', $1::pg_catalog.text) \
     || coalesce(pg_catalog.format(' %L', $2::pg_catalog.text), ''::pg_catalog.text), 0::pg_catalog.int8)";

/// Lifts the role's limits on the duration of the transaction, which lasts as long as the batch.
pub(crate) const LIFT_LIMITS: &str = "(select pg_catalog.count(pg_catalog.set_config(name, '0', true)) from (values \
         ('idle_in_transaction_session_timeout'::pg_catalog.text), ('transaction_timeout')) limits (name) \
     where pg_catalog.current_setting(name, true) is not null)";

/// $1 consumer, $2 batch. The key of the lock that is held until the end of the transaction, so that no other
/// session applies this batch.
pub(crate) const LOCK_BATCH: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq_ext %L batch %s', $1::pg_catalog.text, $2::pg_catalog.int8), 0::pg_catalog.int8)";

/// Makes a recording call. The transaction's commit waits for the disk, even with `synchronous_commit` off, since the
/// source finishes the batch as soon as the commit returns.
macro_rules! record {
    ($call:literal) => {
        concat!(
            "select ",
            $call,
            ", case when pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off' \
                 then pg_catalog.set_config('synchronous_commit', 'on', true) end"
        )
    };
}

/// $1 consumer.
pub(crate) const GET_LAST_TICK: &str = "select pgq_ext.get_last_tick($1)";

/// $1 consumer, $2 tick or null.
pub(crate) const SET_LAST_TICK: &str = record!("pgq_ext.set_last_tick($1, $2)");

/// $1 consumer. No tick: a null.
pub(crate) const GET_CHECKPOINT: &str = "select tick_id, tick_time from pgq_ext.get_checkpoint($1, '')";

/// $1 consumer, $2 tick, $3 its time or null.
pub(crate) const SET_CHECKPOINT: &str = record!("pgq_ext.set_last_tick($1, '', $2, $3)");

/// $1 consumer, $2 subconsumer or nothing, $3 batch, $4 and $5 its ticks, $6 the time of the latter.
pub(crate) const GET_BATCH_STATUS: &str = "select is_done, has_ticks, is_applied, last_tick_id, last_tick_time, \
         own_batch_id, own_tick_id, own_tick_time \
     from pgq_ext.get_batch_status($1, $2, $3, $4, $5, $6)";

/// $1 consumer, $2 subconsumer or nothing, $3 batch, $4 and $6 its ticks, $5 and $7 their times.
pub(crate) const SET_APPLIED: &str = record!("pgq_ext.set_batch_done($1, $2, $3, $4, $5, $6, $7)");

/// $1 consumer, $2 subconsumer or nothing, $3 batch, $4 event, $5 the time of the batch's last tick.
pub(crate) const IS_EVENT_DONE: &str = "select pgq_ext.is_event_done($1, $2, $3, $4, $5)";

/// $1 consumer, $2 subconsumer or nothing, $3 batch, $4 event, $5 the time of the batch's last tick.
pub(crate) const SET_EVENT_DONE: &str = record!("pgq_ext.set_event_done($1, $2, $3, $4, $5)");

/// $1 queue, $2 consumer, $3 batch, $4 when it begins, $5 its last tick, $6 the tick's time, $7 when the batch was opened.
#[cfg(feature = "sqlx")]
pub(crate) const BEGIN_CLAIMS: &str = "select pgq_ext.begin_claims($1, $2, $3, $4, $5, $6, $7)";

/// $1 to $7 as in `BEGIN_CLAIMS`, $8 event, $9 its mark.
#[cfg(any(feature = "sqlx", feature = "tokio"))]
pub(crate) const CLAIM_EVENT: &str = "select pgq_ext.claim_event($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// $1 consumer.
pub(crate) const FORGET_BATCHES: &str = record!("pgq_ext.forget_batches($1)");

/// $1 consumer, $2 batch.
pub(crate) const IS_BATCH_DONE: &str = "select pgq_ext.is_batch_done($1, $2)";

/// $1 consumer, $2 batch.
pub(crate) const SET_BATCH_DONE: &str = record!("pgq_ext.set_batch_done($1, $2)");

/// $1 consumer, $2 batch. Considers the batches of all subconsumers.
pub(crate) const IS_BATCH_DONE_BY_ANY: &str = "select pgq_ext.is_batch_done_by_any($1, $2)";

/// $1 consumer, $2 subconsumer.
pub(crate) const GET_LAST_BATCH: &str = "select pgq_ext.get_last_batch($1, $2)";

/// Returns true if the functions that subconsumers need exist.
pub(crate) const SUPPORTS_SUBCONSUMERS: &str = concat!(
    functions!("pg_catalog.count(*) operator(pg_catalog.=) 2"),
    "(array['is_batch_done_by_any(text, bigint)', 'get_last_batch(text, text)'])"
);

/// $1 consumer, $2 batch, $3 subconsumer.
pub(crate) const SET_BATCH_DONE_BY: &str = record!("pgq_ext.set_batch_done($1, $3, $2)");

/// Gives each statement of the transaction a snapshot of its own.
pub(crate) const READ_COMMITTED: &str = "set local transaction isolation level read committed";

/// The key of the lock that serializes installations.
pub(crate) const LOCK_INSTALL: &str =
    "pg_catalog.hashtextextended('pgq_ext install'::pg_catalog.text, 0::pg_catalog.int8)";

/// Takes the lock of installations in a script.
pub(crate) const WAIT_FOR_INSTALL: &str = include_str!("../sql/lock.sql");

pub(crate) const UPGRADE: &str = "select pgq_ext.upgrade_schema()";

/// The schema, in the order in which it is created.
pub(crate) const SCHEMA: [&str; 29] = [
    include_str!("../sql/tables.sql"),
    include_str!("../sql/upgrade_schema.sql"),
    UPGRADE,
    include_str!("../sql/_lock_key.sql"),
    include_str!("../sql/_unique_key.sql"),
    include_str!("../sql/keys.sql"),
    include_str!("../sql/_wait_for_disk.sql"),
    include_str!("../sql/_set_last_batch.sql"),
    include_str!("../sql/_set_checkpoint.sql"),
    include_str!("../sql/_forget_checkpoint.sql"),
    include_str!("../sql/_add_completed_range.sql"),
    include_str!("../sql/get_batch_status.sql"),
    include_str!("../sql/get_checkpoint.sql"),
    include_str!("../sql/forget_batches.sql"),
    include_str!("../sql/is_batch_done.sql"),
    include_str!("../sql/is_batch_done_by_any.sql"),
    include_str!("../sql/get_last_batch.sql"),
    include_str!("../sql/set_batch_done.sql"),
    include_str!("../sql/get_last_tick.sql"),
    include_str!("../sql/set_last_tick.sql"),
    include_str!("../sql/is_event_done.sql"),
    include_str!("../sql/_forget_events.sql"),
    include_str!("../sql/_begin_events.sql"),
    include_str!("../sql/set_event_done.sql"),
    include_str!("../sql/_may_claim.sql"),
    include_str!("../sql/_forget_claims.sql"),
    include_str!("../sql/begin_claims.sql"),
    include_str!("../sql/claim_event.sql"),
    include_str!("../sql/version.sql"),
];

/// The statement before [`SCHEMA`].
pub(crate) const CREATE_SCHEMA: &str = "create schema if not exists pgq_ext";

/// The statements after [`SCHEMA`], when default privileges are undone.
pub(crate) const GRANTS: &str = include_str!("../sql/grants.sql");
