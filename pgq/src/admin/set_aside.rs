//! The events that consumers have put aside.

use std::fmt;

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::error::Error;
use crate::schema::{self, row_security};
use crate::sql;
use crate::sql::status::Failed;

/// Events that a consumer has put aside, as far as the role may see them: what goes with it when it is unregistered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// How many wait for a retry.
    pub retry: u64,
    /// How many have failed.
    pub failed: u64,
}

impl SetAside {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.retry == 0 && self.failed == 0
    }

    /// Names the kinds of which there are some.
    pub(crate) fn parts(&self) -> Vec<String> {
        let kinds = [(self.retry, "retry event"), (self.failed, "failed event")];
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| number(count, kind)).collect()
    }
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.parts() {
            [] => f.write_str("no events that were put aside"),
            parts => f.write_str(&joined(parts)),
        }
    }
}

/// Returns what a consumer has put aside; nothing when it is not registered.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn set_aside(client: &mut impl GenericClient, queue: &str, consumer: &str) -> Result<SetAside, Error> {
    schema::require(client)?;
    read(client, queue, Some(consumer))
}

/// Makes the query that counts what consumers have put aside. $1 queue, $2 consumer or null for all.
fn count_set_aside(retry: bool, failed: Failed) -> String {
    let of = |table: &str| {
        format!("(select pg_catalog.count(*) from pgq.{table} join owners on ev_owner = sub_id)")
    };
    let retry = if retry { of("retry_queue") } else { "0::pg_catalog.int8".to_owned() };
    let failed = match failed {
        Failed::Table => of("failed_queue"),
        Failed::Function => {
            "(select coalesce(pg_catalog.sum(pgq.failed_event_count($1, name)), 0)::pg_catalog.int8 from owners)".to_owned()
        }
        Failed::Hidden => "0::pg_catalog.int8".to_owned(),
    };
    format!(
        "with owners as (select sub_id, pg_catalog.min(co_name) as name from pgq.subscription \
             join pgq.queue on queue_id = sub_queue join pgq.consumer on co_id = sub_consumer \
             where queue_name = $1 and (co_name = $2 or $2 is null) group by sub_id) \
         select {retry}, {failed}"
    )
}

/// Reads what one consumer or all consumers of a queue have put aside.
pub(crate) fn read(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: Option<&str>,
) -> Result<SetAside, Error> {
    let failed = |error| Error::failed("cannot count what was put aside").on_queue(queue).caused_by(error);
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let rights = client.query_typed_one(sql::status::SERVER, no_values).map_err(failed)?;
    row_security::require_visible(rights.get("hidden")).map_err(|error| error.on_queue(queue))?;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let query = count_set_aside(rights.get("retry"), failed_by(&rights));
    let row = client.query_typed_one(&query, &values).map_err(failed)?;
    let count = |row: &Row, at| row.get::<_, i64>(at).unsigned_abs();
    Ok(SetAside { retry: count(&row, 0), failed: count(&row, 1) })
}

/// Returns how failed events can be counted by this role.
pub(crate) fn failed_by(server: &Row) -> Failed {
    match (server.get("failed"), server.get("failed_count")) {
        (true, _) => Failed::Table,
        (false, true) => Failed::Function,
        (false, false) => Failed::Hidden,
    }
}

/// Names a number of things.
pub(crate) fn number(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Joins parts as a sentence does.
pub(crate) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}
