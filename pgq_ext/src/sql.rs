//! The statements that the crate sends.

pub(crate) const IS_INSTALLED: &str = "select pg_catalog.to_regprocedure('pgq_ext.set_last_tick(pg_catalog.text,bigint)') is not null \
     and pg_catalog.to_regprocedure('pgq_ext.set_batch_done(pg_catalog.text,bigint)') is not null";

/// Whether all of the interface is there and belongs to another role.
pub(crate) const IS_ANOTHERS: &str = "select pg_catalog.count(*) = 14 from pg_catalog.unnest(array[ \
         'get_last_tick(pg_catalog.text)', 'get_last_tick(pg_catalog.text,pg_catalog.text)', 'set_last_tick(pg_catalog.text,bigint)', \
         'set_last_tick(pg_catalog.text,pg_catalog.text,bigint)', 'is_batch_done(pg_catalog.text,bigint)', 'is_batch_done(pg_catalog.text,pg_catalog.text,bigint)', \
         'set_batch_done(pg_catalog.text,bigint)', 'set_batch_done(pg_catalog.text,pg_catalog.text,bigint)', 'is_event_done(pg_catalog.text,bigint,bigint)', \
         'is_event_done(pg_catalog.text,pg_catalog.text,bigint,bigint)', 'set_event_done(pg_catalog.text,bigint,bigint)', \
         'set_event_done(pg_catalog.text,pg_catalog.text,bigint,bigint)', 'is_batch_done_by_any(pg_catalog.text,bigint)', \
         'get_last_batch(pg_catalog.text,pg_catalog.text)']) name \
     join pg_catalog.pg_proc on pg_proc.oid = pg_catalog.to_regprocedure('pgq_ext.' || name)::pg_catalog.oid \
     where not pg_catalog.pg_has_role(proowner, 'usage')";

/// Whether there is a schema of this name, and whether an extension has brought it.
pub(crate) const ORIGIN: &str = "select pg_catalog.to_regnamespace('pgq_ext') is not null, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq_ext')";

/// $1 consumer, $2 subconsumer or null. Held until the end of the transaction, so that nobody else applies this consumer's
/// batches.
pub(crate) const LOCK: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended( \
     pg_catalog.format('pgq_ext %L', $1) || coalesce(pg_catalog.format(' %L', $2), ''), 0))::pg_catalog.text";

/// $1 consumer, $2 batch. Held until the end of the transaction, so that nobody else applies this batch.
pub(crate) const LOCK_BATCH: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.format('pgq_ext %L batch %s', $1, $2), 0))::pg_catalog.text";

/// $1 consumer.
pub(crate) const GET_LAST_TICK: &str = "select pgq_ext.get_last_tick($1)";

/// $1 consumer, $2 tick or null.
pub(crate) const SET_LAST_TICK: &str = "select pgq_ext.set_last_tick($1, $2)";

/// $1 consumer, $2 batch.
pub(crate) const IS_BATCH_DONE: &str = "select pgq_ext.is_batch_done($1, $2)";

/// $1 consumer, $2 batch.
pub(crate) const SET_BATCH_DONE: &str = "select pgq_ext.set_batch_done($1, $2)";

/// $1 consumer, $2 batch. Whichever subconsumer it was.
pub(crate) const IS_BATCH_DONE_BY_ANY: &str = "select pgq_ext.is_batch_done_by_any($1, $2)";

/// $1 consumer, $2 subconsumer.
pub(crate) const GET_LAST_BATCH: &str = "select pgq_ext.get_last_batch($1, $2)";

/// Whether the functions that subconsumers need are there.
pub(crate) const KNOWS_SUBCONSUMERS: &str = "select \
     pg_catalog.to_regprocedure('pgq_ext.is_batch_done_by_any(pg_catalog.text,bigint)') is not null \
     and pg_catalog.to_regprocedure('pgq_ext.get_last_batch(pg_catalog.text,pg_catalog.text)') is not null";

/// $1 consumer, $2 batch, $3 subconsumer.
pub(crate) const SET_BATCH_DONE_BY: &str = "select pgq_ext.set_batch_done($1, $3, $2)";

/// Keeps two installations at once from getting into each other's way.
pub(crate) const LOCK_INSTALL: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgq_ext install', 0))::pg_catalog.text";

pub(crate) const UPGRADE: &str = "select pgq_ext.upgrade_schema()";

/// The schema, in the order in which it is created.
pub(crate) const SCHEMA: [&str; 12] = [
    include_str!("../sql/tables.sql"),
    include_str!("../sql/upgrade_schema.sql"),
    UPGRADE,
    include_str!("../sql/is_batch_done.sql"),
    include_str!("../sql/is_batch_done_by_any.sql"),
    include_str!("../sql/get_last_batch.sql"),
    include_str!("../sql/set_batch_done.sql"),
    include_str!("../sql/get_last_tick.sql"),
    include_str!("../sql/set_last_tick.sql"),
    include_str!("../sql/is_event_done.sql"),
    include_str!("../sql/set_event_done.sql"),
    include_str!("../sql/version.sql"),
];
