//! The statements that find and return retry events.

use postgres::Client;

use super::ticker::PATIENCE;
use crate::names::hex;

/// How due retry events are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryStore {
    /// By the functions of the own schema, which do not visit delivered events that an old snapshot keeps.
    Marked,
    /// In the table.
    Plain,
}

const IS_MARKED: &str = "select pg_catalog.to_regprocedure('pgq._mark_retries(boolean)') is not null";

impl RetryStore {
    /// Reads which schema is installed.
    pub(crate) fn read(client: &mut Client) -> Result<RetryStore, postgres::Error> {
        let is_marked = client.query_typed_one(IS_MARKED, &[])?.get(0);
        Ok(if is_marked { RetryStore::Marked } else { RetryStore::Plain })
    }

    /// Makes the statements that return the earliest time of a retry event, in seconds.
    pub(crate) fn earliest(self) -> String {
        let time = match self {
            RetryStore::Marked => "pgq._mark_retries(false)",
            RetryStore::Plain => {
                "(select ev_retry_after from pgq.retry_queue order by ev_retry_after limit 1)"
            }
        };
        format!("{PATIENCE}; select extract(epoch from {time})::pg_catalog.float8")
    }

    /// Makes the query for the queues with due retry events: their ids, and their names as hexadecimal digits.
    pub(crate) fn queues(self) -> String {
        let due = match self {
            RetryStore::Marked => "queue_id in (select pgq._due_retry_queues())",
            RetryStore::Plain => {
                "exists (select from pgq.retry_queue where ev_queue = queue_id and ev_retry_after <= pg_catalog.now())"
            }
        };
        format!(
            "select queue_id, {name} from pgq.queue where {due} order by queue_name",
            name = hex!("queue_name")
        )
    }

    /// Makes the statements that do for one queue what `pgq.maint_retry_events` does for all: they insert at most ten
    /// events with their ids and owners, one session at a time, and return how many.
    pub(crate) fn deliver(self, queue: i32) -> String {
        let due = match self {
            RetryStore::Marked => {
                format!("pgq._due_retries({queue}, 10) retry join pgq.queue on queue_id = ev_queue")
            }
            RetryStore::Plain => format!(
                "pgq.retry_queue retry join pgq.queue on queue_id = ev_queue \
                 where ev_queue = {queue} and ev_retry_after <= pg_catalog.now() order by ev_retry_after limit 10 \
                 for update of retry"
            ),
        };
        let mark = match self {
            RetryStore::Marked => "; select from pgq._mark_retries(true)",
            RetryStore::Plain => "",
        };
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
