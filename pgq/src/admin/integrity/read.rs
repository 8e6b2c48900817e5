//! Finds what does not fit.

use crate::names::bytes;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};
use postgres_protocol::escape::escape_literal;

use super::{Finding, Problem};
use crate::error::Error;
use crate::names::Name;
use crate::schema;

const NO_VALUES: &[(&(dyn ToSql + Sync), Type)] = &[];
/// Tables of so many events are asked in one statement, which locks them for as long as it takes.
const TOGETHER: usize = 60;

/// Finds what does not fit in the database, the worst first.
///
/// What this role may not see is left out. Events are found by the index on their transaction's id, so that takes no
/// longer with many of them.
///
/// # Errors
///
/// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn inspect(client: &mut impl GenericClient) -> Result<Vec<Finding>, Error> {
    inspect_at_most(client, usize::MAX)
}

/// The tables of events that this role may read: queue's id, table, quoted, and the queue's sequence of event ids.
const EVENT_TABLES: &str = "select que.queue_id, pg_catalog.format('%I.%I', nsp.nspname, cls.relname), que.queue_event_seq \
     from pgq.queue que \
     cross join lateral pg_catalog.generate_series(0, que.queue_ntables - 1) part \
     join pg_catalog.pg_class cls on cls.oid = pg_catalog.to_regclass(pgq.quote_fqname( \
         que.queue_data_pfx || '_'::pg_catalog.text || part::pg_catalog.text))::pg_catalog.oid \
     join pg_catalog.pg_namespace nsp on nsp.oid = cls.relnamespace \
     where pg_catalog.has_table_privilege(cls.oid, 'select'::pg_catalog.text) \
         and pg_catalog.to_regclass(que.queue_event_seq) is not null \
     order by que.queue_id, part";

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

/// Makes the query for what does not fit in tables of events: as [`FINDINGS`]. The tables are those of
/// [`EVENT_TABLES`]. By their index on the transaction's id, the last events are found at once.
fn event_findings(tables: &[(i32, String, String)]) -> String {
    let parts: Vec<String> =
        tables.iter().map(|(queue, table, sequence)| of_table(*queue, table, sequence)).collect();
    format!(
        "select kind, queue, null::pg_catalog.text, object, reached, need from ({}) found where need > reached",
        parts.join(" union all ")
    )
}

/// Whether there are retry events and failed events, and this role may read them.
const ASIDE: &str = "select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.retry_queue')::pg_catalog.oid, 'select'::pg_catalog.text), false), \
     coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('pgq.failed_queue')::pg_catalog.oid, 'select'::pg_catalog.text), false)";

/// Makes the query for events in a table of schema `pgq` that were put aside by consumers which are not there:
/// as [`FINDINGS`].
fn orphans(table: &str) -> String {
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

/// As [`inspect`]; where there are more than so many tables of events, these are left out.
pub(crate) fn inspect_at_most(client: &mut impl GenericClient, most: usize) -> Result<Vec<Finding>, Error> {
    schema::require(client)?;
    let mut findings = at_a_glance(client)?;
    let mut rows = query(client, EVENT_TABLES)?;
    if rows.len() > most {
        rows.clear();
    }
    let tables: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for part in tables.chunks(TOGETHER) {
        add(&mut findings, &found(client, &event_findings(part))?);
    }
    for row in query(client, ASIDE)? {
        for (table, is_readable) in [("retry_queue", row.get(0)), ("failed_queue", row.get(1))] {
            if is_readable {
                add(&mut findings, &found(client, &orphans(table))?);
            }
        }
    }
    Ok(sorted(findings))
}

/// Whatever can be found without reading events: kind, queue, consumer, object, and two numbers of each.
const FINDINGS: &str = include_str!("../../../sql/integrity/findings.sql");

/// As [`inspect`], by one statement that reads no events, and that every role may use.
pub(crate) fn at_a_glance(client: &mut impl GenericClient) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    add(&mut findings, &found(client, FINDINGS)?);
    Ok(sorted(findings))
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| other.level().cmp(&one.level()).then_with(|| one.key().cmp(&other.key())));
    findings
}

/// Adds what is found, each thing once.
fn add(findings: &mut Vec<Finding>, rows: &[Row]) {
    for found in rows.iter().filter_map(finding) {
        match findings.iter_mut().find(|known| known.key() == found.key()) {
            Some(known) => known.needed = known.needed.max(found.needed),
            None => findings.push(found),
        }
    }
}

fn finding(row: &Row) -> Option<Finding> {
    let name = |column: usize| row.get::<_, Option<Name>>(column).map(|name| name.0);
    Some(Finding {
        problem: Problem::named(row.get(0))?,
        queue: name(1),
        consumer: name(2),
        object: name(3),
        reached: row.get(4),
        needed: row.get(5),
    })
}

/// Makes the query for what one as [`FINDINGS`] finds, with the names as bytes, which need not be text.
fn shown(findings: &str) -> String {
    format!(
        "select kind, {}, {}, {}, reached, need \
         from (\n{findings}\n) found (kind, queue, consumer, object, reached, need)",
        bytes!("queue"),
        bytes!("consumer"),
        bytes!("object")
    )
}

/// Runs a query for findings.
fn found(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    query(client, &shown(statement))
}

fn query(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    let failed = |error| Error::failed("cannot find out what does not fit in the database").caused_by(error);
    client.query_typed(statement, NO_VALUES).map_err(failed)
}
