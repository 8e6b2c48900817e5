//! The statements that read a database's status.

use crate::names::bytes;

/// Returns the server, the database, and this role's rights on retry events and failed events.
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

/// The way in which this role can count failed events.
#[derive(Clone, Copy)]
pub(crate) enum Failed {
    Table,
    Function,
    Hidden,
}

/// Describes the transactions that hold locks `held`, as far as this role may see them. A prepared transaction has
/// no process; its lock on its own transaction id identifies it.
macro_rules! of_transactions {
    ($columns:literal, $held:literal) => {
        concat!(
            "with locks as materialized (select * from pg_catalog.pg_locks where granted) \
             select distinct ",
            $columns,
            ", held.pid, ",
            $crate::names::bytes!("prepared.gid"),
            " as gid, ",
            $crate::names::bytes!("coalesce(session.usename::pg_catalog.text, prepared.owner::pg_catalog.text)"),
            " as user_name, ",
            $crate::names::bytes!(
                "coalesce(nullif(session.application_name, ''), nullif(session.backend_type, 'client backend'))"
            ),
            " as application, ",
            $crate::names::bytes!("coalesce(session.datname::pg_catalog.text, prepared.database::pg_catalog.text)"),
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
pub(crate) use of_transactions;

/// $1 names of tables. Returns the transactions that hold locks on them.
pub(crate) const TABLE_LOCKS: &str = of_transactions!(
    "held.name",
    "select name, pid, virtualtransaction from locks \
     join pg_catalog.unnest($1::pg_catalog.text[]) name on relation = pg_catalog.to_regclass(name)::pg_catalog.oid \
     where locktype = 'relation' \
         and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())"
);

/// The snapshots that keep row versions of this database: of sessions, prepared transactions, replication slots, and
/// standbys. The oldest comes first.
///
/// Slots and standbys have no time, and an ordinary role sees no time of other roles' sessions. A tick that is later than
/// the snapshot shows that the snapshot is at least as old.
/// Vacuums do not count, as for the server. Other databases' sessions have no part in this database.
pub(crate) const OLD_SNAPSHOTS: &str = concat!(
    "with held as materialized ( \
         select case backend_type when 'walsender' then 'standby' else 'transaction' end as kind, pid, \
             null::pg_catalog.text as gid, usename::pg_catalog.text as user_name, \
             coalesce(nullif(application_name, ''), nullif(backend_type, 'client backend')) as application, \
             datname::pg_catalog.text as database, state, xact_start as began, \
             greatest(pg_catalog.age(backend_xmin), pg_catalog.age(backend_xid)) as transactions \
         from pg_catalog.pg_stat_activity \
         where (datname = pg_catalog.current_database() or backend_type = 'walsender') \
             and pid <> pg_catalog.pg_backend_pid() \
             and pid not in (select pid from pg_catalog.pg_stat_progress_vacuum) \
         union all \
         select 'transaction', null, gid, owner::pg_catalog.text, null, database::pg_catalog.text, null, prepared, \
             pg_catalog.age(transaction) \
         from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database() \
         union all \
         select 'slot', active_pid, null, null, slot_name::pg_catalog.text, null, null, null, pg_catalog.age(xmin) \
         from pg_catalog.pg_replication_slots), \
     moment as materialized (select case when not pg_catalog.pg_is_in_recovery() \
         then pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) end as next) \
     select kind, pid, ",
    bytes!("gid"),
    " as gid, ",
    bytes!("user_name"),
    " as user_name, ",
    bytes!("application"),
    " as application, ",
    bytes!("application"),
    " as name, ",
    bytes!("database"),
    " as database, state, extract(epoch from pg_catalog.now() - coalesce(began, later.time))::pg_catalog.float8 as age \
     from moment cross join held \
     left join lateral ( \
         select pg_catalog.min(tick_time) as time from pgq.tick \
         where began is null and pg_catalog.isfinite(tick_time) \
             and pg_catalog.txid_snapshot_xmax(tick_snapshot) > next - transactions) later on true \
     where transactions is not null and next is not null \
     order by transactions desc, age desc nulls last"
);
