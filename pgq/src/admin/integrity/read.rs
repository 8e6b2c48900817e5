//! Finding inconsistencies.

use crate::names::bytes;
use dbscript::param::NO_PARAMS;
use postgres::{GenericClient, Row};
use postgres_protocol::escape::escape_literal;

use super::{Finding, Problem};
use crate::error::Error;
use crate::names::Name;
use crate::schema;

/// The number of event tables that one statement reads, and locks for as long as the statement runs.
const TABLES_PER_STATEMENT: usize = 60;

/// Finds the inconsistencies of PgQ's tables, the most severe first.
///
/// Objects that this role may not read are skipped. Events are found by the index on their transaction id, so their
/// number does not matter.
///
/// # Errors
///
/// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
pub fn inspect(client: &mut impl GenericClient) -> Result<Vec<Finding>, Error> {
    inspect_up_to(client, usize::MAX)
}

/// Returns the event tables that this role may read: the queue's id, the quoted name of the table, and the name of the
/// queue's sequence of event ids.
const EVENT_TABLES: &str = "select que.queue_id, pg_catalog.format('%I.%I', nsp.nspname, cls.relname), que.queue_event_seq \
     from pgq.queue que \
     cross join lateral pg_catalog.generate_series(0, que.queue_ntables - 1) part \
     join pg_catalog.pg_class cls on cls.oid = pg_catalog.to_regclass(pgq.quote_fqname( \
         que.queue_data_pfx || '_'::pg_catalog.text || part::pg_catalog.text))::pg_catalog.oid \
     join pg_catalog.pg_namespace nsp on nsp.oid = cls.relnamespace \
     where pg_catalog.has_table_privilege(cls.oid, 'select'::pg_catalog.text) \
         and pg_catalog.to_regclass(que.queue_event_seq) is not null \
     order by que.queue_id, part";

/// Makes the part of the query for one event table.
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

/// Makes the query for inconsistencies of event tables, with the columns of [`FINDINGS`]. The tables are rows of
/// [`EVENT_TABLES`]. The index on the transaction id finds the last events quickly.
fn event_findings(tables: &[(i32, String, String)]) -> String {
    let parts: Vec<String> =
        tables.iter().map(|(queue, table, sequence)| of_table(*queue, table, sequence)).collect();
    format!(
        "select kind, queue, null::pg_catalog.text, object, reached, need from ({}) found where need > reached",
        parts.join(" union all ")
    )
}

/// The tables whose rows belong to consumers.
const OWNED: [&str; 2] = ["retry_queue", "failed_queue"];

/// The tables whose rows have numbers of a sequence, and the columns of the numbers.
const NUMBERED: [(&str, &str); 3] =
    [("failed_queue", "ev_failed_no"), ("delayed_queue", "ev_id"), ("scheduled_event", "ev_id")];

/// Returns those tables of retry events, failed events, delayed events and schedules that exist and that this role may read.
const READABLE_TABLES: &str = "select name from (values ('retry_queue'), ('failed_queue'), ('delayed_queue'), ('scheduled_event')) named (name) \
     where coalesce(pg_catalog.has_table_privilege( \
         pg_catalog.to_regclass('pgq.' || name)::pg_catalog.oid, 'select'::pg_catalog.text), false)";

/// Makes the query for a sequence behind the numbers of a table's rows, with the columns of [`FINDINGS`]. `table` is a table
/// of schema `pgq`, and `column` its column with the numbers.
fn numbers(table: &str, column: &str) -> String {
    format!(
        "select 'number-sequence', null::pg_catalog.text, null::pg_catalog.text, name, reached, need \
         from (select name, (select pg_catalog.max({column}) from pgq.{table}) as need, \
                   case when pg_catalog.has_sequence_privilege(name, 'select'::pg_catalog.text) \
                   then coalesce(pg_catalog.pg_sequence_last_value(name::pg_catalog.regclass), 0::pg_catalog.int8) end as reached \
               from pg_catalog.pg_get_serial_sequence('pgq.{table}'::pg_catalog.text, '{column}'::pg_catalog.text) name) numbers \
         where need > reached"
    )
}

/// Makes the query for retry events or failed events whose consumer does not exist, with the columns of [`FINDINGS`].
/// `table` is a table of schema `pgq`.
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

/// Finds inconsistencies, as [`inspect`] does, but skips the event tables if there are more than `max_tables` of them.
pub(crate) fn inspect_up_to(
    client: &mut impl GenericClient,
    max_tables: usize,
) -> Result<Vec<Finding>, Error> {
    schema::require(client)?;
    let mut findings = inspect_without_events(client)?;
    let mut rows = query(client, EVENT_TABLES)?;
    if rows.len() > max_tables {
        rows.clear();
    }
    let tables: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for part in tables.chunks(TABLES_PER_STATEMENT) {
        add(&mut findings, &found(client, &event_findings(part))?);
    }
    for row in query(client, READABLE_TABLES)? {
        let table: String = row.get(0);
        if OWNED.contains(&&*table) {
            add(&mut findings, &found(client, &orphans(&table))?);
        }
        if let Some((_, column)) = NUMBERED.iter().find(|(name, _)| *name == table) {
            add(&mut findings, &found(client, &numbers(&table, column))?);
        }
    }
    Ok(sorted(findings))
}

/// Returns the inconsistencies that can be found without reading events: kind, queue, consumer, object, and the numbers
/// reached and needed.
const FINDINGS: &str = include_str!("../../../sql/integrity/findings.sql");

/// Finds inconsistencies by one statement that reads no events and that every role may run.
pub(crate) fn inspect_without_events(client: &mut impl GenericClient) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    add(&mut findings, &found(client, FINDINGS)?);
    Ok(sorted(findings))
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| other.level().cmp(&one.level()).then_with(|| one.key().cmp(&other.key())));
    findings
}

/// Adds findings, merging those with equal keys.
fn add(findings: &mut Vec<Finding>, rows: &[Row]) {
    for found in rows.iter().filter_map(finding) {
        match findings.iter_mut().find(|existing| existing.key() == found.key()) {
            Some(existing) => existing.needed = existing.needed.max(found.needed),
            None => findings.push(found),
        }
    }
}

fn finding(row: &Row) -> Option<Finding> {
    let name = |column: usize| row.get::<_, Option<Name>>(column).map(|name| name.0);
    Some(Finding {
        problem: Problem::by_name(row.get(0))?,
        queue: name(1),
        consumer: name(2),
        object: name(3),
        reached: row.get(4),
        needed: row.get(5),
    })
}

/// Wraps a query like [`FINDINGS`] so that it returns names as bytes, since a name need not be valid text.
fn with_names_as_bytes(findings: &str) -> String {
    format!(
        "select kind, {}, {}, {}, reached, need \
         from (\n{findings}\n) found (kind, queue, consumer, object, reached, need)",
        bytes!("queue"),
        bytes!("consumer"),
        bytes!("object")
    )
}

/// Runs a query like [`FINDINGS`].
fn found(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    query(client, &with_names_as_bytes(statement))
}

fn query(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    let failed = |error| Error::failed("cannot check the database for inconsistencies").caused_by(error);
    client.query_typed(statement, NO_PARAMS).map_err(failed)
}
