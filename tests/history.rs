//! Positions that are kept outside of the queue, after the queue was restored or created again.

mod batches;
mod events;
mod file;
mod restored_alone;
mod switches;
mod ticks;
mod unknown;

use postgres::Client;

use crate::support::queues;

/// Takes the first queue of a database, and all its consumers, back to a tick, as a restore of the database to that
/// moment does; the next batch has the number `batch`.
fn restore(client: &mut Client, tick: i64, batch: i64) {
    client
        .batch_execute(&format!(
            "update pgq.subscription set sub_last_tick = {tick}, sub_batch = null, sub_next_tick = null; \
             delete from pgq.tick where tick_id > {tick}; \
             select setval('pgq.event_1_tick_seq', {tick}), setval('pgq.batch_id_seq', {batch}, false)"
        ))
        .expect("restored");
}

/// Returns the number of the next batch that a database opens.
fn next_batch(client: &mut Client) -> i64 {
    let next = "select last_value + is_called::int from pgq.batch_id_seq";
    client.query_one(next, &[]).expect("readable").get(0)
}

/// Inserts events and ticks.
fn batch(client: &mut Client, queue: &str, from: i64, count: i64) -> i64 {
    queues::insert(client, queue, from, count);
    queues::tick(client, queue)
}

/// Returns a tick's time, as text.
fn time_of(client: &mut Client, tick: i64) -> String {
    let time = "select to_char(tick_time at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US UTC') from pgq.tick where tick_id = $1";
    client.query_one(time, &[&tick]).expect("the tick is there").get(0)
}
