//! The statements that find what does not fit, and mend it.

use postgres_protocol::escape::escape_literal;

use crate::names::bytes;

/// Whatever can be found without reading events: kind, queue, consumer, object, and two numbers of each.
pub(crate) const FINDINGS: &str = include_str!("../../sql/integrity/findings.sql");

/// Makes the query for what one as [`FINDINGS`] finds, with the names as bytes, which need not be text.
pub(crate) fn shown(findings: &str) -> String {
    format!(
        "select kind, {}, {}, {}, reached, need \
         from (\n{findings}\n) found (kind, queue, consumer, object, reached, need)",
        bytes!("queue"),
        bytes!("consumer"),
        bytes!("object")
    )
}

/// The tables of events that this role may read: queue's id, table, quoted, and the queue's sequence of event ids.
pub(crate) const EVENT_TABLES: &str = "select que.queue_id, pg_catalog.format('%I.%I', nsp.nspname, cls.relname), que.queue_event_seq \
     from pgq.queue que \
     cross join lateral pg_catalog.generate_series(0, que.queue_ntables - 1) part \
     join pg_catalog.pg_class cls on cls.oid = pg_catalog.to_regclass(pgq.quote_fqname( \
         que.queue_data_pfx || '_'::pg_catalog.text || part::pg_catalog.text))::pg_catalog.oid \
     join pg_catalog.pg_namespace nsp on nsp.oid = cls.relnamespace \
     where pg_catalog.has_table_privilege(cls.oid, 'select'::pg_catalog.text) \
         and pg_catalog.to_regclass(que.queue_event_seq) is not null \
     order by que.queue_id, part";

/// Makes the query for what does not fit in tables of events: as [`FINDINGS`]. The tables are those of
/// [`EVENT_TABLES`]. By their index on the transaction's id, the last events are found at once.
pub(crate) fn event_findings(tables: &[(i32, String, String)]) -> String {
    let parts: Vec<String> =
        tables.iter().map(|(queue, table, sequence)| of_table(*queue, table, sequence)).collect();
    format!(
        "select kind, queue, null::pg_catalog.text, object, reached, need from ({}) found where need > reached",
        parts.join(" union all ")
    )
}

fn of_table(queue: i32, table: &str, sequence: &str) -> String {
    let (name, sequence) = (escape_literal(table), escape_literal(sequence));
    let queue = format!("(select queue_name from pgq.queue where queue_id = {queue})");
    format!(
        "(select 'event-id' as kind, {queue} as queue, {name} as object, greatest( \
             pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) - 1::pg_catalog.int8, \
             pg_catalog.txid_current_if_assigned()) as reached, \
             (select ev_txid from {table} order by ev_txid desc limit 1) as need \
         union all \
         select 'event-sequence', {queue}, {sequence}, \
             coalesce(pg_catalog.pg_sequence_last_value({sequence}::pg_catalog.regclass), pgq.seq_getval({sequence})), \
             (select pg_catalog.max(ev_id) from (select ev_id from {table} order by ev_txid desc limit 100) latest))"
    )
}

/// Whether there are retry events and failed events, and this role may read them.
pub(crate) const ASIDE: &str = "select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.retry_queue')::pg_catalog.oid, 'select'::pg_catalog.text), false), \
     coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.failed_queue')::pg_catalog.oid, 'select'::pg_catalog.text), false)";

/// Makes the query for events in a table of schema `pgq` that were put aside by consumers which are not there:
/// as [`FINDINGS`].
pub(crate) fn orphans(table: &str) -> String {
    format!(
        "select 'orphaned-events', null::pg_catalog.text, null::pg_catalog.text, 'pgq.{table}', \
             pg_catalog.min(ev_owner)::pg_catalog.int8, pg_catalog.count(*) \
         from pgq.{table} where not exists (select from pgq.subscription where sub_id = ev_owner) \
         having pg_catalog.count(*) > 0 \
         union all \
         select 'subscription-sequence', null, null, 'pgq.subscription_sub_id_seq', reached, need \
         from (select pg_catalog.max(ev_owner)::pg_catalog.int8 as need, \
                   case when pg_catalog.has_sequence_privilege('pgq.subscription_sub_id_seq'::pg_catalog.text, 'select'::pg_catalog.text) \
                   then coalesce(pg_catalog.pg_sequence_last_value('pgq.subscription_sub_id_seq'::pg_catalog.regclass), \
                       pgq.seq_getval('pgq.subscription_sub_id_seq'::pg_catalog.text) - 1::pg_catalog.int8) end as reached \
               from pgq.{table}) owners \
         where need > reached"
    )
}

/// Waits no longer than five seconds for a lock from here on, unless the session has a limit. Returns the limit as it
/// was.
pub(crate) const LIMIT_WAITING: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s' else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// Keeps tickers, registrations, rotations and whoever opens or finishes a batch away until the end of the transaction.
/// No row security hides anything.
pub(crate) const LOCK_ALL: &str = "set local row_security = off; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), -1); \
     lock table pgq.queue, pgq.consumer, pgq.subscription in share row exclusive mode; \
     select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'::pg_catalog.text), rest) \
         from (select distinct queue_id % 256 as rest from pgq.queue order by 1) queues; \
     lock table pgq.tick in share row exclusive mode";

/// The steps of a repair, each of which changes only what does not fit.
pub(crate) const REPAIR: [&str; 6] = [
    include_str!("../../sql/integrity/mend_sequences.sql"),
    include_str!("../../sql/integrity/mend_shared_ids.sql"),
    include_str!("../../sql/integrity/mend_missing_ticks.sql"),
    include_str!("../../sql/integrity/mend_transaction_ids.sql"),
    include_str!("../../sql/integrity/mend_times.sql"),
    include_str!("../../sql/integrity/mend_queue_sequences.sql"),
];

/// $1 names of queues. Makes a tick for each that takes ticks from here, and lets the ticker make another one soon.
pub(crate) const TICK_REPAIRED: &str = "select pgq.force_tick(queue_name), pgq.ticker(queue_name), pgq.force_tick(queue_name) \
     from pgq.queue \
     where queue_name = any ($1) and not queue_external_ticker and not queue_ticker_paused";

/// $1 queue, $2 consumer. Who else has the id of a new registration. Subconsumers share their consumer's id.
pub(crate) const SHARED_ID: &str = "select other_name.co_name \
     from pgq.queue que \
     join pgq.subscription own on own.sub_queue = que.queue_id \
     join pgq.consumer c on c.co_id = own.sub_consumer \
     join pgq.subscription other on other.sub_id = own.sub_id \
         and (other.sub_queue <> own.sub_queue or other.sub_consumer <> own.sub_consumer) \
     join pgq.consumer other_name on other_name.co_id = other.sub_consumer \
     where que.queue_name = $1 and c.co_name = $2 and (other.sub_queue <> own.sub_queue \
         or not pg_catalog.starts_with(other_name.co_name, $2::pg_catalog.text || '.'::pg_catalog.text)) \
     limit 1";

/// $1 queue, $2 consumer. Whether it is not registered, and the sequence of the ids of registrations is behind; no is
/// the answer to a role that may not see the sequence. No row: there is no such queue.
pub(crate) const IDS_ARE_BEHIND: &str = "select case \
         when pg_catalog.has_sequence_privilege('pgq.subscription_sub_id_seq'::pg_catalog.text, 'select'::pg_catalog.text) \
         then coalesce(coalesce(pg_catalog.pg_sequence_last_value('pgq.subscription_sub_id_seq'::pg_catalog.regclass), \
                 pgq.seq_getval('pgq.subscription_sub_id_seq'::pg_catalog.text) - 1::pg_catalog.int8) \
             < (select pg_catalog.max(sub_id) from pgq.subscription), false) else false end \
         and not exists (select from pgq.subscription join pgq.consumer on co_id = sub_consumer \
             where sub_queue = queue_id and co_name = $2) \
     from pgq.queue where queue_name = $1";
