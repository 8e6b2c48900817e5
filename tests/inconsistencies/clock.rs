//! A clock that was put back.

use super::*;
use crate::support::wait_for;

const AHEAD: &str = "update pgq.tick set tick_time = tick_time + interval '1 hour'";

#[test]
fn the_ticker_does_not_wait_for_the_clock() {
    for mut place in Place::each() {
        place.batch(
            "update pgq.queue set queue_ticker_max_lag = '1 second', queue_ticker_idle_period = '1 minute'",
        );
        place.batch(AHEAD);
        insert(&mut place.client, "x");
        let finding = "the newest tick is 3";
        place.says(&["check"], 1, &["WARNING", finding, "in the future", "repair"]);
        place.says(&["status"], 0, &["! queue `q`: ", finding]);
        let ticker = place.ticker();
        wait_for("the event", || place.consume("a") == ["x"]);
        stop(ticker);
        place.says(&["check"], 0, &["OK"]);
    }
}

#[test]
fn our_ticker_function_does_not_wait_either() {
    let mut place = Place::create(Kind::Own);
    place.batch(
        "update pgq.queue set queue_ticker_max_lag = '1 second', queue_ticker_idle_period = '1 minute'",
    );
    place.batch(AHEAD);
    insert(&mut place.client, "x");
    assert_eq!(place.number("select pgq.ticker()"), 1);
    assert_eq!(place.number("select coalesce(pgq.ticker('q'), 0)"), 0, "it waits for the next one as before");
    place.batch(AHEAD);
    assert!(place.number("select pgq.ticker('q')") > 0);
}

#[test]
fn a_repair_takes_ticks_and_rotations_back_to_the_present() {
    for mut place in Place::each() {
        for _ in 0..3 {
            queues::tick(&mut place.client, "q");
        }
        place.batch(AHEAD);
        place.batch(
            "update pgq.queue set queue_switch_time = now() + interval '1 hour', queue_ticker_idle_period = '1 minute'",
        );
        let its_tick = "select extract(epoch from tick_time) * 1000000 from pgq.tick \
            join pgq.subscription on sub_last_tick = tick_id";
        let before = place.number(its_tick);
        place.says(&["repair", "--force"], 0, &["in the future", "the last rotation is 3"]);
        place.says(&["check"], 0, &["OK"]);
        assert_eq!(place.number("select count(*) from pgq.tick where tick_time > now()"), 1);
        assert_eq!(place.number(its_tick), before, "other systems identify a position by its time");
        let disorder = "select count(*) from pgq.tick t join pgq.tick u on u.tick_id > t.tick_id \
            where u.tick_time < t.tick_time and t.tick_id > (select sub_last_tick from pgq.subscription)";
        assert_eq!(place.number(disorder), 0);
    }
}
