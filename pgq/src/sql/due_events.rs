//! The statements that find due retry events, delayed events and schedules, and insert the events into their queues.

use std::fmt;

use postgres::Client;

use super::ticker::PATIENCE;
use crate::names::hex;

/// The kinds of events that are inserted when they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DueKind {
    Retry,
    Delayed,
    Scheduled,
}

/// The events of a kind that are stored until they are due, and how they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DueStore {
    /// Retry events, by the functions of the own schema, which do not visit delivered events that an old snapshot keeps.
    Marked,
    /// Retry events, in the table.
    Plain,
    /// Delayed events.
    Delayed,
}

/// What a database has of each kind.
#[derive(Debug, Default)]
pub(crate) struct DueStores {
    /// The stores of events.
    pub(crate) stores: Vec<DueStore>,
    /// Whether there are schedules, which this role may serve.
    pub(crate) has_schedules: bool,
}

/// Returns whether the functions for retry events exist, whether delayed events are installed and this role may deliver
/// them, and the same of schedules.
const INSTALLED: &str = "select pg_catalog.to_regprocedure('pgq._mark_retries(boolean)') is not null, \
     coalesce(pg_catalog.has_function_privilege( \
         pg_catalog.to_regprocedure('pgq._mark_delayed(integer,boolean)')::pg_catalog.oid, 'execute'::pg_catalog.text), false), \
     coalesce(pg_catalog.has_function_privilege( \
         pg_catalog.to_regprocedure('pgq._earliest_scheduled()')::pg_catalog.oid, 'execute'::pg_catalog.text), false)";

impl DueStores {
    /// Reads what is installed.
    pub(crate) fn read(client: &mut Client) -> Result<DueStores, postgres::Error> {
        let row = client.query_typed_one(INSTALLED, &[])?;
        let mut stores = vec![if row.get(0) { DueStore::Marked } else { DueStore::Plain }];
        stores.extend(row.get::<_, bool>(1).then_some(DueStore::Delayed));
        Ok(DueStores { stores, has_schedules: row.get(2) })
    }

    /// Makes the statements that return the earliest time of an event in any of the stores, or of a schedule, in seconds.
    pub(crate) fn earliest(&self) -> String {
        let mut times: Vec<&str> = self.stores.iter().map(|store| store.time()).collect();
        times.extend(self.has_schedules.then_some("pgq._earliest_scheduled()"));
        format!("{PATIENCE}; select extract(epoch from least({}))::pg_catalog.float8", times.join(", "))
    }
}

/// Names the events in messages.
impl fmt::Display for DueStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DueStore::Marked | DueStore::Plain => "retry events",
            DueStore::Delayed => "delayed events",
        })
    }
}

impl DueStore {
    /// Returns the expression for the earliest time of an event, or null.
    fn time(self) -> &'static str {
        match self {
            DueStore::Marked => "pgq._mark_retries(false)",
            DueStore::Plain => "(select ev_retry_after from pgq.retry_queue order by ev_retry_after limit 1)",
            DueStore::Delayed => "pgq._mark_delayed(null, false)",
        }
    }

    /// Returns the kind of the events.
    pub(crate) fn kind(self) -> DueKind {
        match self {
            DueStore::Marked | DueStore::Plain => DueKind::Retry,
            DueStore::Delayed => DueKind::Delayed,
        }
    }

    /// Makes the query for the queues with due events: their ids, and their names as hexadecimal digits.
    pub(crate) fn queues(self) -> String {
        let due = match self {
            DueStore::Marked => "queue_id in (select pgq._due_retry_queues())",
            DueStore::Delayed => {
                "queue_id in (select queue_id from pgq._delayed_state(null) where is_open and due <= pg_catalog.now())"
            }
            DueStore::Plain => {
                "exists (select from pgq.retry_queue where ev_queue = queue_id and ev_retry_after <= pg_catalog.now())"
            }
        };
        format!(
            "select queue_id, {name} from pgq.queue where {due} order by queue_name",
            name = hex!("queue_name")
        )
    }

    /// Makes the statements that do for one queue what `pgq.maint_delayed_events` or `pgq.maint_retry_events` does for
    /// all, and return the number of events. Of retry events they insert at most ten with their ids and owners, one
    /// session at a time.
    pub(crate) fn deliver(self, queue: i32) -> String {
        // A transaction of the queue may insert fewer.
        let most = format!("(select least(10, queue_per_tx_limit) from pgq.queue where queue_id = {queue})");
        let due = match self {
            DueStore::Delayed => {
                return format!(
                    "select delivered, case when delivered > 0 then pgq._mark_delayed({queue}, true) end \
                     from (select pgq._deliver_delayed({queue}) as delivered offset 0) done"
                );
            }
            DueStore::Marked => {
                format!("pgq._due_retries({queue}, {most}) retry join pgq.queue on queue_id = ev_queue")
            }
            DueStore::Plain => format!(
                "pgq.retry_queue retry join pgq.queue on queue_id = ev_queue \
                 where ev_queue = {queue} and ev_retry_after <= pg_catalog.now() order by ev_retry_after limit {most} \
                 for update of retry"
            ),
        };
        let mark = if self == DueStore::Marked { "; select from pgq._mark_retries(true)" } else { "" };
        format!(
            "lock table pgq.retry_queue in share update exclusive mode; \
             with due as materialized (select retry.*, queue_name from {due}), \
             inserted as materialized ( \
                 select ev_owner, ev_id, ev_retry_after, pgq.insert_event_raw( \
                     queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, \
                     ev_extra1, ev_extra2, ev_extra3, ev_extra4) from due), \
             deleted as ( \
                 delete from pgq.retry_queue retry using inserted \
                 where retry.ev_owner = inserted.ev_owner and retry.ev_id = inserted.ev_id \
                     and retry.ev_retry_after = inserted.ev_retry_after) \
             select pg_catalog.count(*) from inserted{mark}"
        )
    }
}
