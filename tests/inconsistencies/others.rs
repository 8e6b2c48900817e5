//! Lost ticks, shared ids, lost tables, and the steps of a repair.

use super::*;

#[test]
fn a_missing_tick_is_made_anew() {
    for mut place in Place::each() {
        insert(&mut place.client, "1");
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["1"]);
        insert(&mut place.client, "2");
        queues::tick(&mut place.client, "q");
        place.batch("delete from pgq.tick where tick_id = (select sub_last_tick from pgq.subscription)");
        place.says(&["check"], 2, &["CRITICAL", "consumer `a` of queue `q`: tick", "is missing"]);
        place.says(&["repair", "--force"], 0, &["events may be redelivered", "repaired: consumer `a`"]);
        let events = place.consume("a");
        assert!(events.contains(&"2".to_owned()), "{events:?} on {}", place.kind);
    }
}

#[test]
fn without_any_tick_all_events_are_redelivered() {
    for mut place in Place::each() {
        insert(&mut place.client, "1");
        place.batch("delete from pgq.tick");
        place.says(&["repair", "--force"], 0, &["repaired: consumer `a`"]);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["1"]);
    }
}

#[test]
fn an_unfinished_batch_is_redelivered() {
    for mut place in Place::each() {
        insert(&mut place.client, "1");
        let end = queues::tick(&mut place.client, "q");
        place.batch("select pgq.next_batch('q', 'a')");
        place.batch(&format!("delete from pgq.tick where tick_id = {end}"));
        place.says(&["check"], 2, &[&format!("tick {end} is missing")]);
        place.says(&["repair", "--force"], 0, &["repaired: "]);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["1"]);
    }
}

#[test]
fn consumers_that_share_an_id_are_separated() {
    for mut place in Place::each() {
        pgq::admin::register_consumer(&mut place.client, "q", "b").expect("registered");
        pgq::admin::register_subconsumer(&mut place.client, "q", "team", "one").expect("registered");
        pgq::admin::register_subconsumer(&mut place.client, "q", "team", "two").expect("registered");
        assert_eq!(pgq::admin::integrity::inspect(&mut place.client).expect("readable"), []);
        place.batch(
            "update pgq.subscription set sub_id = (select min(sub_id) from pgq.subscription); \
             select pgq.event_retry_raw('q', 'a', now(), 7, now(), 1, 't', 'd', null, null, null, null)",
        );
        place.says(
            &["check"],
            2,
            &[
                "consumer `b` of queue `q`: it shares id 1 with consumer `a`",
                "consumer `team` of queue `q`: it shares id 1 with consumer `a`",
            ],
        );
        place.says(&["repair", "--force"], 0, &["repaired: consumer `b`", "repaired: consumer `team`"]);
        assert_eq!(place.number("select count(distinct sub_id) from pgq.subscription"), 3);
        assert_eq!(place.number("select count(distinct ev_owner) from pgq.retry_queue"), 3);
        place.says(&["unregister", "q", "b", "--force"], 0, &["unregistered"]);
        assert_eq!(place.number("select count(*) from pgq.subscription"), 4, "a, team and its two");
    }
}

#[test]
fn irreparable_findings_are_reported() {
    for mut place in Place::each() {
        place.batch("update pgq.queue set queue_cur_table = 7");
        place.says(&["check"], 2, &["queue `q`: `queue_cur_table` is 7, but the queue has 3 tables"]);
        place.says(
            &["repair"],
            1,
            &[
                "not repaired: queue `q`",
                "set `queue_cur_table` of `pgq.queue` by hand",
                "cannot be repaired",
            ],
        );
        place.batch("update pgq.queue set queue_cur_table = 0; drop table pgq.event_1_2");
        place.says(&["check"], 2, &["queue `q`: `pgq.event_1_2` is missing"]);
    }
}

#[test]
fn events_of_nobody_are_kept() {
    for mut place in Place::each() {
        place.batch(
            "select pgq.event_retry_raw('q', 'a', now(), 7, now(), 1, 't', 'd', null, null, null, null); \
             update pgq.retry_queue set ev_owner = 5; select setval('pgq.subscription_sub_id_seq', 5)",
        );
        place.says(&["check"], 1, &["`pgq.retry_queue` has 1 events of consumers that do not exist"]);
        place.says(&["repair"], 0, &["not repaired: ", "their owner cannot be determined"]);
        assert_eq!(place.number("select count(*) from pgq.retry_queue"), 1);
    }
}

#[test]
fn a_repair_changes_only_the_confirmed_findings() {
    for mut place in Place::each() {
        place.batch("select setval('pgq.subscription_sub_id_seq', 1, false)");
        let confirmed = pgq::admin::integrity::inspect(&mut place.client).expect("readable");
        assert_eq!(confirmed.len(), 1);
        place.batch("update pgq.tick set tick_time = now() + interval '1 hour'");
        let error =
            pgq::admin::integrity::repair(&mut place.client, &confirmed).expect_err("more than confirmed");
        assert!(error.to_string().contains("there is another inconsistency by now: queue `q`"), "{error:?}");
        assert_eq!(pgq::admin::integrity::inspect(&mut place.client).expect("readable").len(), 2);
    }
}

#[test]
fn a_repair_does_not_wait_for_ever() {
    for mut place in Place::each() {
        place.batch("select setval('pgq.subscription_sub_id_seq', 1, false)");
        let mut holder = place.database.client();
        let mut hold = holder.transaction().expect("begin");
        hold.batch_execute("lock table pgq.subscription in row exclusive mode").expect("locked");
        place.batch("set lock_timeout = '50ms'");
        let confirmed = pgq::admin::integrity::inspect(&mut place.client).expect("readable");
        let error = pgq::admin::integrity::repair(&mut place.client, &confirmed).expect_err("locked");
        assert_eq!(error.sqlstate().map(|code| code.code()), Some("55P03"), "{error:?}");
    }
}
