//! The statements that bring events back. Numbers are all that is put into a text.

use crate::names::{bytes, hex};

/// How long a locked queue is waited for. An autovacuum of `pgq.retry_queue` gives way within a second. Row security that
/// would hide events is an error.
const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '2s'; \
     set local row_security = off";

/// Makes the statements that return id and name, as hexadecimal digits, of the queues with events whose time has come.
pub(crate) fn queues() -> String {
    format!(
        "{PATIENCE}; select queue_id, {name} from pgq.queue where exists ( \
             select from pgq.retry_queue where ev_queue = queue_id and ev_retry_after <= pg_catalog.now()) \
         order by queue_name",
        name = hex!("queue_name")
    )
}

/// Makes the statements that do for one queue what `pgq.maint_retry_events` does for all: ten events at most are
/// inserted with their ids and owners, one session at a time. They return how many.
pub(crate) fn events(queue: i32) -> String {
    format!(
        "{PATIENCE}; lock table pgq.retry_queue in share update exclusive mode; \
         with due as materialized ( \
             select retry.*, queue_name from pgq.retry_queue retry join pgq.queue on queue_id = ev_queue \
             where ev_queue = {queue} and ev_retry_after <= pg_catalog.now() order by ev_retry_after limit 10 \
             for update of retry), \
         inserted as materialized ( \
             select ev_owner, ev_id, ev_retry_after, pgq.insert_event_raw( \
                 queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, \
                 ev_extra1, ev_extra2, ev_extra3, ev_extra4) from due), \
         deleted as ( \
             delete from pgq.retry_queue retry using inserted \
             where retry.ev_owner = inserted.ev_owner and retry.ev_id = inserted.ev_id \
                 and retry.ev_retry_after = inserted.ev_retry_after) \
         select pg_catalog.count(*) from inserted"
    )
}
