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
