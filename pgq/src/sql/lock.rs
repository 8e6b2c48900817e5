//! The statements of advisory locks: taking a lock, and listing its holders.

use crate::names::bytes;

/// $1 queue, $2 consumer. The key of those that take batches over, and, shared, of those that finish them.
pub(crate) const FINISH: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq finish %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0::pg_catalog.int8)";

/// Which rows of `pg_locks` are of the lock with a key.
pub(crate) fn of_key(key: &str) -> String {
    format!(
        "(classid, objid, objsubid) = (select ((key >> 32) & 4294967295)::pg_catalog.oid, \
             (key & 4294967295)::pg_catalog.oid, 1::pg_catalog.int2 from (select {key} as key) given)"
    )
}

/// Makes the query for the other sessions and the prepared transactions that have locks; `which` says which rows of
/// `pg_locks` these are, `right` names a function that they should be allowed to execute. An ordinary role sees
/// process, user and application of others, and neither their host nor their age.
///
/// A role counts as allowed if it may become one that is.
pub(crate) fn holders(which: &str, right: Option<&str>) -> String {
    holders_of(&format!("locktype = 'advisory' and {which}"), right)
}

/// As [`holders`], of any kind of locks.
pub(crate) fn holders_of(which: &str, right: Option<&str>) -> String {
    let held = format!(
        "held as (select distinct pid, virtualtransaction from locks where {which} \
             and database = (select oid from pg_catalog.pg_database \
                 where datname = pg_catalog.current_database()) \
             and pid is distinct from pg_catalog.pg_backend_pid())"
    );
    named(&held, "null::pg_catalog.bytea", right)
}

/// Makes a query for sessions and prepared transactions, which the common table expression `held` lists.
pub(crate) fn named(held: &str, what: &str, right: Option<&str>) -> String {
    let may = right.map_or("true".to_owned(), |function| {
        format!(
            "case when holder.oid is null then true else exists (select from pg_catalog.pg_roles other \
                 where pg_catalog.pg_has_role(holder.oid, other.oid, 'member'::pg_catalog.text) \
                     and pg_catalog.has_function_privilege(other.oid, \
                         pg_catalog.to_regprocedure('{function}'::pg_catalog.text)::pg_catalog.oid, \
                         'execute'::pg_catalog.text)) end"
        )
    });
    format!(
        "with locks as materialized (select * from pg_catalog.pg_locks where granted), \
         {held} select held.pid, {what} as what, {gid} as gid, {user} as user_name, {application} as application, \
             case when client_addr is not null then pg_catalog.host(client_addr) \
                 when client_port = -1 then 'local' end as host, \
             extract(epoch from pg_catalog.now() - coalesce(xact_start, state_change, prepared.prepared)) \
                 ::pg_catalog.float8 as age, \
             {may} as may \
         from held \
         left join pg_catalog.pg_stat_activity session on session.pid = held.pid \
         left join locks own on held.pid is null and own.pid is null and own.locktype = 'transactionid' \
             and own.virtualtransaction = held.virtualtransaction \
         left join pg_catalog.pg_prepared_xacts prepared on prepared.transaction = own.transactionid \
         left join pg_catalog.pg_roles holder on holder.oid = session.usesysid or holder.rolname = prepared.owner \
         order by age desc nulls last, held.pid",
        gid = bytes!("prepared.gid"),
        user = bytes!("holder.rolname::pg_catalog.text"),
        application = bytes!("nullif(session.application_name, '')"),
    )
}
