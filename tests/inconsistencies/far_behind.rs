//! A sequence of events that is millions behind, as after a switchover to a stale copy.

use super::*;
use crate::support::wait_for;

/// Without the queue's idle period, which never ends here, only new events make a tick.
#[test]
fn events_are_ticked_though_their_sequence_is_millions_behind() {
    for mut place in Place::each() {
        place.batch(
            "update pgq.queue set queue_ticker_max_lag = '100 milliseconds', queue_ticker_idle_period = '1 day'; \
             select setval('pgq.event_1_id_seq', 5000000); \
             select pgq.force_tick('q'); select pgq.ticker('q')",
        );
        place.consume("a");
        place.batch(
            "update pgq.tick set tick_time = tick_time - interval '2 days' \
                 where tick_id < (select max(tick_id) from pgq.tick); \
             select setval('pgq.event_1_id_seq', 10)",
        );
        insert(&mut place.client, "x");
        place.says(&["check"], 1, &["WARNING", "sequence `pgq.event_1_id_seq` is at 11, behind event id 5"]);
        place.says(&["status"], 0, &["! queue `q`: sequence `pgq.event_1_id_seq` is at 11"]);
        let ticker = place.ticker();
        wait_for("the event", || place.consume("a") == ["x"]);
        stop(ticker);
        assert_eq!(
            pgq::admin::integrity::inspect(&mut place.client).expect("readable"),
            [],
            "{}",
            place.kind
        );
    }
}
