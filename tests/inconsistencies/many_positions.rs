//! A repair of a queue with more positions than there are transaction ids to give them.

use super::*;

/// Seven hundred ticks of a server that was far ahead, an event before each, and a consumer at each.
const MANY: &str = "select setval('pgq.event_1_tick_seq', 1000), setval('pgq.event_1_id_seq', 2000); \
    delete from pgq.subscription; delete from pgq.tick; \
    insert into pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq) \
        select 1, n, now() - interval '100 seconds' + n * interval '1 millisecond', \
            format('%s:%s:', 1000000000 + n, 1000000000 + n)::txid_snapshot, n from generate_series(1, 700) n; \
    insert into pgq.event_1_0 (ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data) \
        select n, now(), 1000000000 + n - 1, null, 't', n::text from generate_series(1, 710) n; \
    select pgq.register_consumer_at('q', 'c' || n, n) from generate_series(1, 700) n";

/// The number of pending events that consumers do not receive, and the number of redelivered ones.
const LOST_AND_AGAIN: &str = "select count(*) filter (where ev_id > position and is_seen), \
        count(*) filter (where ev_id <= position and not is_seen) \
    from (select substr(co_name, 2)::int as position, ev_id, \
            txid_visible_in_snapshot(ev_txid, tick_snapshot) as is_seen \
        from pgq.subscription join pgq.consumer on co_id = sub_consumer \
        join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick cross join pgq.event_1) got";

#[test]
fn more_positions_than_free_ids_are_repaired() {
    for mut place in Place::each() {
        place.batch(MANY);
        place.says(&["check"], 2, &["CRITICAL", "queue `q`: the newest tick has transaction id 1000000700"]);
        place.says(&["repair", "--force"], 0, &["repaired: "]);
        place.says(&["check"], 0, &["OK"]);
        let row = place.client.query_one(LOST_AND_AGAIN, &[]).expect("answers");
        assert_eq!(row.get::<_, i64>(0), 0, "lost on {}", place.kind);
        // Each consumer without an id of its own gets one event again.
        assert_eq!(row.get::<_, i64>(1), 100, "again on {}", place.kind);
        insert(&mut place.client, "new");
        queues::tick(&mut place.client, "q");
        let got = place.consume("c700");
        assert_eq!(got, ["701", "702", "703", "704", "705", "706", "707", "708", "709", "710", "new"]);
    }
}
