//! Statements. All names are constants of the benchmark and need no quoting.

/// The data of event number `i`, 75 bytes. [`crate::crate_client`] and the Python inserter make the same data.
pub(crate) const DATA: &str =
    "rpad('id=' || i || '&customer=' || i::int8 * 7919 % 100003 || '&note=', 75, 'x')";

/// The columns that a mover copies.
pub(crate) const CARRIED: &str = "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time";

const ALL: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// The columns that identify the events of a producer.
pub(crate) const PRODUCED: &str = "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// $1 queue, $2 consumer. Whether the consumer is at the last tick, and has no event to be retried.
pub(crate) const IS_CONSUMED: &str = "select info.current_batch is null \
     and info.last_tick = (select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue \
         where queue_name = $1) \
     and not exists (select from pgq.retry_queue) \
     from pgq.get_consumer_info($1, $2) info";

/// Fills a queue's table.
pub(crate) fn fill(table: &str, from: u64, to: u64) -> String {
    format!(
        "insert into {table} (ev_type, ev_data, ev_extra1, ev_time) \
         select 'I', {DATA}, 'public.orders', now() from generate_series({from}, {to}) i"
    )
}

/// Fills a queue's table with events of 1,000 keys.
pub(crate) fn fill_keyed(table: &str, events: u64) -> String {
    format!(
        "insert into {table} (ev_type, ev_data, ev_extra1, ev_time) \
         select 'I', {DATA}, 'key ' || i % 1000, now() from generate_series(1, {events}) i"
    )
}

/// Counts rows and sums their hashes.
pub(crate) fn fingerprint(columns: &str, from: &str) -> String {
    format!("select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)), 0)::text from {from}")
}

/// The rows of [`crate::insert`], as a subquery.
pub(crate) fn repeated(events: u64, distinct: u64) -> String {
    format!(
        "(select 'I'::text ev_type, {DATA} ev_data, 'public.orders'::text ev_extra1, null::text ev_extra2, \
         null::text ev_extra3, null::text ev_extra4 \
         from (select n % {distinct} i from generate_series(0, {events} - 1) n) numbers) made"
    )
}

/// Copies rows to standard output.
pub(crate) fn copy_out(from: &str) -> String {
    format!("copy (select {CARRIED} from {from}) to stdout (format binary)")
}

/// Copies rows from standard input.
pub(crate) fn copy_in(table: &str) -> String {
    format!("copy {table} ({CARRIED}) from stdin (format binary)")
}

/// Reads a batch on the server, without sending it to a client.
pub(crate) fn copy_nowhere(batch_events: &str) -> String {
    format!("copy (select {ALL} from ({batch_events}) batch) to '/dev/null' (format binary)")
}
