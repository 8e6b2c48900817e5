//! Counting the events that are retained for consumers: retry events and failed events.

use std::fmt;

use dbscript::param::{NO_PARAMS, text};
use postgres::{GenericClient, Row};

use crate::error::{At, Error};
use crate::phrases::{count_of, joined};
use crate::schema::{self, row_security};
use crate::sql;
use crate::sql::status::Failed;

/// The numbers of events that are retained for a consumer outside of its queue's tables. Unregistering the consumer
/// deletes these events. Events that this role may not see are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetainedEvents {
    /// The number of events that wait for a retry.
    pub retry: u64,
    /// The number of failed events.
    pub failed: u64,
}

impl RetainedEvents {
    /// Returns whether no events are retained.
    pub fn is_empty(&self) -> bool {
        self.retry == 0 && self.failed == 0
    }

    /// Returns a phrase for each kind of which there are events, such as `3 retry events`.
    pub(crate) fn parts(&self) -> Vec<String> {
        let kinds = [(self.retry, "retry event"), (self.failed, "failed event")];
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| count_of(count, kind)).collect()
    }
}

impl fmt::Display for RetainedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.parts() {
            [] => f.write_str("no retry events and no failed events"),
            parts => f.write_str(&joined(parts)),
        }
    }
}

/// Returns the numbers of a consumer's retry events and failed events; zeros when the consumer is not registered.
///
/// # Errors
///
/// When PgQ is not installed, and when the server fails.
pub fn retained_events(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<RetainedEvents, Error> {
    schema::require(client)?;
    read(client, queue, Some(consumer))
}

/// Makes the query that counts retry events and failed events. $1 queue, $2 consumer, or null for all consumers.
fn count_retained(retry: bool, failed: Failed) -> String {
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

/// Counts the retry events and failed events of one consumer or, with `None`, of all consumers of a queue.
pub(crate) fn read(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: Option<&str>,
) -> Result<RetainedEvents, Error> {
    let failed = |error| At::queue(queue).failed("cannot count retry events and failed events", error);
    let rights = client.query_typed_one(sql::status::SERVER, NO_PARAMS).map_err(failed)?;
    row_security::require_visible(rights.get("hidden")).map_err(|error| error.on_queue(queue))?;
    let values = [text(&queue), text(&consumer)];
    let query = count_retained(rights.get("retry"), failed_by(&rights));
    let row = client.query_typed_one(&query, &values).map_err(failed)?;
    let count = |row: &Row, at| row.get::<_, i64>(at).unsigned_abs();
    Ok(RetainedEvents { retry: count(&row, 0), failed: count(&row, 1) })
}

/// Returns the way in which this role can count failed events.
pub(crate) fn failed_by(server: &Row) -> Failed {
    match (server.get("failed"), server.get("failed_count")) {
        (true, _) => Failed::Table,
        (false, true) => Failed::Function,
        (false, false) => Failed::Hidden,
    }
}
