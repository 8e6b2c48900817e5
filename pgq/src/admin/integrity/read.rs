//! Finds what does not fit.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use super::{Finding, Problem};
use crate::error::Error;
use crate::names::Name;
use crate::schema;
use crate::sql::integrity as sql;

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

/// As [`inspect`]; where there are more than so many tables of events, these are left out.
pub(crate) fn inspect_at_most(client: &mut impl GenericClient, most: usize) -> Result<Vec<Finding>, Error> {
    schema::require(client)?;
    let mut findings = at_a_glance(client)?;
    let mut rows = query(client, sql::EVENT_TABLES)?;
    if rows.len() > most {
        rows.clear();
    }
    let tables: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for part in tables.chunks(TOGETHER) {
        add(&mut findings, &found(client, &sql::event_findings(part))?);
    }
    for row in query(client, sql::ASIDE)? {
        for (table, is_readable) in [("retry_queue", row.get(0)), ("failed_queue", row.get(1))] {
            if is_readable {
                add(&mut findings, &found(client, &sql::orphans(table))?);
            }
        }
    }
    Ok(sorted(findings))
}

/// As [`inspect`], by one statement that reads no events, and that every role may use.
pub(crate) fn at_a_glance(client: &mut impl GenericClient) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    add(&mut findings, &found(client, sql::FINDINGS)?);
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

/// Runs a query for findings.
fn found(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    query(client, &sql::shown(statement))
}

fn query(client: &mut impl GenericClient, statement: &str) -> Result<Vec<Row>, Error> {
    let failed = |error| Error::failed("cannot find out what does not fit in the database").caused_by(error);
    client.query_typed(statement, NO_VALUES).map_err(failed)
}
