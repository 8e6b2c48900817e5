//! The statements of advisory locks: take one, find out who has it.

use std::time::Duration;

use crate::names::bytes;

/// Who may tick may hold the ticker's lock.
pub(crate) const MAY_TICK: &str = "pgq.ticker(text)";
/// Who may consume may hold a consumer's lock.
pub(crate) const MAY_CONSUME: &str = "pgq.finish_batch(bigint)";

/// The key of the ticker that is at work.
pub(crate) const TICKER: &str =
    "pg_catalog.hashtextextended('pgq ticker'::pg_catalog.text, 0::pg_catalog.int8)";

/// The key of whoever installs.
pub(crate) const INSTALL: &str =
    "pg_catalog.hashtextextended('pgq install'::pg_catalog.text, 0::pg_catalog.int8)";

/// $1 queue. The key of whoever creates or drops it, and, shared, of whoever registers a consumer on it.
pub(crate) const QUEUE: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq queue %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// $1 consumer. The key of whoever registers it.
pub(crate) const REGISTRATION: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq consumer %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// $1 queue, $2 consumer. The key of the process that runs it.
pub(crate) const CONSUMER: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0::pg_catalog.int8)";

/// $1 queue, $2 consumer. The key of those that take batches over, and, shared, of those that finish them.
pub(crate) const FINISH: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq finish %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0::pg_catalog.int8)";

/// $1 queue. The key of whoever moves the queue's sequence of ids, until it commits.
pub(crate) const IDS: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq ids %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// Which rows of `pg_locks` are of ticks: of one's turn, and of each queue's in the own schema.
pub(crate) const TICKS: &str = "classid = (pg_catalog.hashtext('pgq ticker'::pg_catalog.text)::pg_catalog.int8 \
     & 4294967295)::pg_catalog.oid and objsubid = 2";

/// Which rows of `pg_locks` keep somebody from the tables of queues, consumers and ticks, or from the locks of ticks; for
/// [`holders_of`].
pub(crate) fn of_repairs() -> String {
    format!(
        "(locktype = 'advisory' and {TICKS} or locktype = 'relation' \
             and mode not in ('AccessShareLock', 'RowShareLock') and relation in ( \
                 select oid from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid \
                 and relname in ('queue', 'consumer', 'subscription', 'tick')))"
    )
}

/// Which rows of `pg_locks` are of the lock with a key.
pub(crate) fn of_key(key: &str) -> String {
    format!(
        "(classid, objid, objsubid) = (select ((key >> 32) & 4294967295)::pg_catalog.oid, \
             (key & 4294967295)::pg_catalog.oid, 1::pg_catalog.int2 from (select {key} as key) given)"
    )
}

/// Makes the statement that takes a lock until the end of the transaction, unless somebody else has it; `also` is evaluated
/// with it.
pub(crate) fn take(key: &str, shared: bool, also: Option<&str>) -> String {
    let shared = if shared { "_shared" } else { "" };
    let also = also.map(|expression| format!(", {expression}")).unwrap_or_default();
    format!("select pg_catalog.pg_try_advisory_xact_lock{shared}({key}){also}")
}

/// Makes the statement that waits for a lock until a time is over, and returns the session's limit as it was.
pub(crate) fn wait(key: &str, shared: bool, time: Duration) -> String {
    let shared = if shared { "_shared" } else { "" };
    format!(
        "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, '{}ms'::pg_catalog.text, true), \
             pg_catalog.pg_advisory_xact_lock{shared}({key})::pg_catalog.text \
         from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting",
        time.as_millis().max(1)
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

/// $1 process. As [`holders`], of those that this process waits for, unless it is for an advisory lock; with what the
/// lock is on in the first column. The process has to have this session's role and application, since behind a pooler
/// it may be somebody else's by now.
pub(crate) fn blockers() -> String {
    let held = "waited as (select l.* from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity own on own.pid = l.pid \
             join pg_catalog.pg_stat_activity me on me.pid = pg_catalog.pg_backend_pid() \
             where l.pid = $1 and not l.granted and l.locktype <> 'advisory' \
             and own.usesysid = me.usesysid and own.application_name = me.application_name), \
         held as (select distinct l.pid, l.virtualtransaction from locks l where exists (select from waited) \
                 and l.pid = any (pg_catalog.pg_blocking_pids($1)) \
             union select l.pid, l.virtualtransaction from locks l join waited w on l.pid is null \
                 and l.locktype = w.locktype and l.relation is not distinct from w.relation \
                 and l.database is not distinct from w.database \
                 and l.transactionid is not distinct from w.transactionid)";
    let what = format!(
        "(select case locktype when 'relation' then {} end from waited left join pg_catalog.pg_class c on c.oid = relation \
             left join pg_catalog.pg_namespace n on n.oid = relnamespace limit 1)",
        bytes!("pg_catalog.concat(n.nspname, '.', c.relname)")
    );
    named(held, &what, None)
}

/// Makes a query for sessions and prepared transactions, which the common table expression `held` lists.
fn named(held: &str, what: &str, right: Option<&str>) -> String {
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
         order by held.pid",
        gid = bytes!("prepared.gid"),
        user = bytes!("holder.rolname::pg_catalog.text"),
        application = bytes!("nullif(session.application_name, '')"),
    )
}

/// How long this session waits for a lock or lets a statement run, in seconds, whichever is shorter; null: no limit.
pub(crate) const PATIENCE: &str = "select least( \
         nullif(extract(epoch from pg_catalog.current_setting('lock_timeout'::pg_catalog.text)::pg_catalog.interval), 0), \
         nullif(extract(epoch from pg_catalog.current_setting('statement_timeout'::pg_catalog.text)::pg_catalog.interval), 0) \
     )::pg_catalog.float8";
