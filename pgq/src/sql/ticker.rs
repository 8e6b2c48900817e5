//! The ticker's statements. Only numbers are put into their texts; names stay on the server.

use std::fmt::Write;

use crate::names::hex;

/// Limits the time for which a statement waits for a lock of another session, so that one locked queue does not delay
/// the others. Row security that would hide queues is an error.
pub(crate) const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '200ms'; \
     set local row_security = off";

/// Makes the statements that read every queue, with its thresholds and its last tick, times in seconds, and the name as
/// hexadecimal digits. The sequence is null if this role may not read it.
pub(crate) fn queues() -> String {
    format!("{PATIENCE}; {QUEUES}")
}

pub(crate) const QUEUES: &str = concat!(
    "select queue_id, ",
    hex!("queue_name"),
    ", queue_ticker_max_count, \
         extract(epoch from queue_ticker_max_lag)::pg_catalog.float8, \
         extract(epoch from queue_ticker_idle_period)::pg_catalog.float8, \
         newest.tick_event_seq, extract(epoch from newest.tick_time)::pg_catalog.float8, \
         case when pg_catalog.isfinite(newest.tick_time) and pg_catalog.isfinite(before.tick_time) \
             then extract(epoch from newest.tick_time - before.tick_time)::pg_catalog.float8 end, \
         case when pg_catalog.has_sequence_privilege(sequence, 'select, usage') then sequence end \
     from pgq.queue \
     cross join lateral (select pg_catalog.to_regclass(queue_event_seq)::pg_catalog.oid as sequence offset 0) sequence \
     left join lateral ( \
         select tick_id, tick_time, tick_event_seq from pgq.tick where tick_queue = queue_id \
         order by tick_queue desc, tick_id desc limit 1) newest on true \
     left join lateral ( \
         select tick_time from pgq.tick where tick_queue = queue_id and tick_id < newest.tick_id \
         order by tick_queue desc, tick_id desc limit 1) before on true \
     where not queue_external_ticker and not queue_ticker_paused"
);

pub(crate) fn listed<T: std::fmt::Display>(numbers: &[T]) -> String {
    numbers.iter().enumerate().fold(String::new(), |mut list, (at, number)| {
        // Writing to a string cannot fail.
        let _ = write!(list, "{}{number}", if at == 0 { "" } else { "," });
        list
    })
}
