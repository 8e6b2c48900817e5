//! The statements that the crate sends. Values are parameters; names are quoted by the server.

use postgres_protocol::escape::escape_literal;

pub(crate) mod batch;
pub(crate) mod due_events;
pub(crate) mod failed;
pub(crate) mod lock;
pub(crate) mod next_batch;
pub(crate) mod status;
pub(crate) mod ticker;

/// Gives each statement of the transaction a snapshot of its own.
pub(crate) const READ_COMMITTED: &str = "set local transaction isolation level read committed";

/// Suppresses notices about objects that exist already, for the rest of the transaction.
pub(crate) const HIDE_NOTICES: &str = "set local client_min_messages = warning";

/// Makes the transaction's commit wait for the disk, even with `synchronous_commit` off.
macro_rules! wait_for_disk {
    () => {
        "case when pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off' \
             then pg_catalog.set_config('synchronous_commit', 'on', true) end"
    };
}
pub(crate) use wait_for_disk;

/// $1 limit.
pub(crate) const SET_LOCK_TIMEOUT: &str =
    "select pg_catalog.set_config('lock_timeout', $1::pg_catalog.text, true)";

/// Whether the transaction has one snapshot for all of its statements, which may be older than a rotation.
macro_rules! keeps_snapshot {
    () => {
        "pg_catalog.current_setting('transaction_isolation') in ('repeatable read', 'serializable')"
    };
}

/// Whether a queue's row, as this transaction sees it, is from before a rotation that its snapshot does not see.
/// Reading the size of the table first locks it, so that `pg_relation_filenode` returns the present file (DESIGN.md,
/// D47).
macro_rules! is_stale {
    () => {
        concat!(
            "case when ",
            keeps_snapshot!(),
            " then ( \
             select case when pg_catalog.pg_relation_size(oid::pg_catalog.regclass, 'main') >= 0 \
                 then relfilenode <> pg_catalog.pg_relation_filenode(oid::pg_catalog.regclass) end \
             from pg_catalog.pg_class \
             where oid = pg_catalog.to_regclass(pgq.quote_fqname(pg_catalog.format('%s_%s', queue_data_pfx, \
                 (queue_cur_table + 1) % queue_ntables)))::pg_catalog.oid) is true else false end"
        )
    };
}

/// As [`INSERT_EVENT`], for a statement with a snapshot of its own, which no rotation can be later than. The server plans it
/// in a third of the time (DESIGN.md, D47). Returns the event's id; null if the transaction keeps its snapshot, and
/// [`INSERT_EVENT`] must insert.
pub(crate) const INSERT_EVENT_READ_COMMITTED: &str = concat!(
    "select case when ",
    keeps_snapshot!(),
    " then null else pgq.insert_event(queue_name, $2, $3, $4, $5, $6, $7) end as id \
     from pgq.queue where queue_name = $1 and pg_catalog.txid_current() > 0"
);

/// $1 queue, $2 type, $3 data, $4 to $7 extras. Returns the event's id, and whether the event was not inserted because
/// the queue's tables were rotated after the transaction's snapshot; [`rotated`] raises the error then. No row: the
/// queue does not exist.
pub(crate) const INSERT_EVENT: &str = concat!(
    "select case when not stale then pgq.insert_event(queue_name, $2, $3, $4, $5, $6, $7) end as id, stale from ( \
         select queue_name, ",
    is_stale!(),
    " as stale from pgq.queue where queue_name = $1 and pg_catalog.txid_current() > 0 offset 0) target"
);

/// $1 queue, $2 type, $3 data, $4 to $7 extras, $8 the time as text. Stores a delayed event; returns its id and false, as
/// [`INSERT_EVENT`] does. No row: the queue does not exist.
pub(crate) const INSERT_DELAYED: &str = "select pgq.insert_event_at(queue_name, $8::pg_catalog.text::pg_catalog.timestamptz, \
         $2, $3, $4, $5, $6, $7) as id, false as stale from pgq.queue where queue_name = $1";

/// $1 queue, $2 type, $3 data, $4 to $7 extras and $8 the time, arrays of texts. Stores delayed events; returns their
/// number.
pub(crate) const INSERT_ALL_DELAYED: &str = "select pg_catalog.count(pgq.insert_event_at( \
         $1::pg_catalog.text, due::pg_catalog.timestamptz, type, data, extra1, extra2, extra3, extra4)) as count \
     from rows from (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[]), \
         pg_catalog.unnest($4::pg_catalog.text[]), pg_catalog.unnest($5::pg_catalog.text[]), \
         pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::pg_catalog.text[]), \
         pg_catalog.unnest($8::pg_catalog.text[])) events (type, data, extra1, extra2, extra3, extra4, due)";

/// $1 queue, $2 type, $3 data, $4 to $7 extras, $8 key, $9 the time to keep it as text. Returns the event's id, and whether
/// it is new. No row: the queue does not exist.
pub(crate) const INSERT_EVENT_ONCE: &str = "select once.id, once.is_new from pgq.queue cross join lateral pgq.insert_event_once( \
         queue_name, $8, $9::pg_catalog.text::pg_catalog.interval, $2, $3, $4, $5, $6, $7) once where queue_name = $1";

/// As [`INSERT_EVENT`], with texts only, and returns the id alone: a missing queue and a rotation after the
/// transaction's snapshot are errors of the statement. A function of the own schema raises 40001 for such a rotation;
/// the extension has none, and no other expression raises this SQLSTATE, so the text that is no number is an error of a
/// cast (DESIGN.md, D98).
pub(crate) const RAISING_INSERT: &str = concat!(
    "select case when stale then (case when pgq.current_event_table(queue_name) is not null \
             then 'could not serialize access due to rotation of queue ' || queue_name end)::pg_catalog.int8 \
         else pgq.insert_event($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text, $4::pg_catalog.text, \
             $5::pg_catalog.text, $6::pg_catalog.text, $7::pg_catalog.text) end as id \
     from (select) one left join ( \
         select queue_name, ",
    is_stale!(),
    " as stale from pgq.queue where queue_name = $1::pg_catalog.text and pg_catalog.txid_current() > 0 offset 0) asked \
     on true"
);

/// Sends and receives bytes as they are, for the rest of the transaction, in a database without an encoding.
macro_rules! as_bytes {
    () => {
        "case when pg_catalog.current_setting('server_encoding') = 'SQL_ASCII' \
             then pg_catalog.set_config('client_encoding', 'SQL_ASCII', true) end"
    };
}

/// $1 queue. As [`CURRENT_EVENT_TABLE`] without changes of limits, for a statement with a snapshot of its own. Returns the
/// table, quoted, and the transaction's time; no table if the transaction keeps its snapshot.
pub(crate) const EVENT_TABLE_READ_COMMITTED: &str = concat!(
    "select case when ",
    keeps_snapshot!(),
    " then null else pgq.quote_fqname(pgq.current_event_table(queue_name)) end as name, pg_catalog.now(), ",
    as_bytes!(),
    " from pgq.queue where queue_name = $1 and pg_catalog.txid_current() > 0"
);

/// $1 queue, $2 whether to lift the limits of the role for the rest of the transaction, $3 whether its commit waits for
/// the disk, even with `synchronous_commit` off. Returns the table, quoted, the transaction's time, the limit on
/// statements if it was lifted, and as in [`INSERT_EVENT`] whether the table is the wrong one. No row: the queue does
/// not exist.
///
/// For the rest of the transaction, a database without an encoding takes bytes as they are, since it could convert none
/// of them.
///
/// The transaction has its id before the function reads which table is current (DESIGN.md, D18).
pub(crate) const CURRENT_EVENT_TABLE: &str = concat!(
    "select pgq.quote_fqname(chosen.name) as name, pg_catalog.now(), ",
    is_stale!(),
    " as stale, (select case when pg_catalog.set_config('statement_timeout', '0', true) is not null then before end from ( \
             select pg_catalog.current_setting('statement_timeout') as before where $2 offset 0) limited), \
     case when $2 then ",
    batch::lift_limits!(),
    " end, case when $3::pg_catalog.bool then ",
    wait_for_disk!(),
    " end, ",
    as_bytes!(),
    " from ( \
         select queue_name, queue_data_pfx, queue_cur_table, queue_ntables from pgq.queue \
         where queue_name = $1 and pg_catalog.txid_current() > 0 offset 0) target \
     cross join lateral pgq.current_event_table(target.queue_name) chosen (name)"
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
