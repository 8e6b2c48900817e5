//! Statements. All names in them are the bench's own and need no quoting.

/// The text of an event number `i`, 75 bytes; [`crate::subject`] and the Python inserter make the same.
pub(crate) const DATA: &str =
    "rpad('id=' || i || '&customer=' || i::int8 * 7919 % 100003 || '&note=', 75, 'x')";

/// The columns that a move carries over.
pub(crate) const CARRIED: &str = "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time";

const ALL: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// What makes two sets of events the same for a producer.
pub(crate) const PRODUCED: &str = "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// Fills a queue's table.
pub(crate) fn fill(table: &str, from: u64, to: u64) -> String {
    format!(
        "insert into {table} (ev_type, ev_data, ev_extra1, ev_time) \
         select 'I', {DATA}, 'public.orders', now() from generate_series({from}, {to}) i"
    )
}

/// Counts rows and adds up their hashes.
pub(crate) fn fingerprint(columns: &str, from: &str) -> String {
    format!("select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)), 0)::text from {from}")
}

/// The rows that [`crate::insert`] inserts, as a source to select from.
pub(crate) fn repeated(events: u64, distinct: u64) -> String {
    format!(
        "(select 'I'::text ev_type, {DATA} ev_data, 'public.orders'::text ev_extra1, null::text ev_extra2, \
         null::text ev_extra3, null::text ev_extra4 \
         from (select n % {distinct} i from generate_series(0, {events} - 1) n) numbers) made"
    )
}

/// Streams rows out.
pub(crate) fn copy_out(from: &str) -> String {
    format!("copy (select {CARRIED} from {from}) to stdout (format binary)")
}

/// Streams rows in.
pub(crate) fn copy_in(table: &str) -> String {
    format!("copy {table} ({CARRIED}) from stdin (format binary)")
}

/// Reads a whole batch without sending it anywhere.
pub(crate) fn copy_nowhere(batch_events: &str) -> String {
    format!("copy (select {ALL} from ({batch_events}) batch) to '/dev/null' (format binary)")
}
