//! Consumers, registered, moved and unregistered.

use super::Place;
use crate::support::queues::{self, UNUSUAL};

/// Makes a queue with a consumer `c` that has read two of four ticks, and returns the ticks.
fn queue(place: &mut Place) -> [i64; 4] {
    let client = &mut place.client;
    queues::create(client, "q");
    let ticks: [i64; 4] = std::array::from_fn(|at| {
        queues::insert(client, "q", i64::try_from(at).expect("small"), 1);
        queues::tick(client, "q")
    });
    pgq::admin::register_consumer_at(client, "q", "c", ticks[1]).expect("registered");
    ticks
}

#[test]
fn a_consumer_is_registered_at_a_tick() {
    for mut place in Place::each() {
        let [first, second, ..] = queue(&mut place);
        let at = first.to_string();
        assert!(place.done(&["register", "q", "new", "--at", &at]).1.contains("registered at tick"));
        assert_eq!(queues::position(&mut place.client, "q", "new"), (first, None));
        // It is there already, so nothing is lost.
        assert!(
            place
                .done(&["register", "q", "new", "--at", &at])
                .1
                .contains(&format!("`q`: already at tick {at}"))
        );

        let other = second.to_string();
        let move_it = ["register", "q", "new", "--at", &other];
        place.refused(
            &move_it,
            2,
            &format!("move consumer `new` on queue `q` from tick {at} to tick {other}?"),
        );
        assert_eq!(queues::position(&mut place.client, "q", "new"), (first, None));
        let (_, log) = place.done(&["register", "q", "new", "--at", &other, "--force"]);
        assert!(log.contains("already registered, now at tick"), "{log}");
        assert_eq!(queues::position(&mut place.client, "q", "new"), (second, None));
        assert!(place.done(&["register", "q", "new"]).1.contains("already registered"));
        assert_eq!(queues::position(&mut place.client, "q", "new"), (second, None));
    }
}

#[test]
fn a_consumer_is_registered_where_another_one_is() {
    for mut place in Place::each() {
        let [_, second, _, last] = queue(&mut place);
        let (_, log) = place.done(&["register", "q", UNUSUAL, "--copy", "c"]);
        assert!(log.contains("registered at the position of `c`"), "{log}");
        assert_eq!(queues::position(&mut place.client, "q", UNUSUAL), (second, None));

        // An open batch is still to be processed.
        place.client.query("select pgq.next_batch('q', 'c')", &[]).expect("a batch");
        place.done(&["register", "q", "d", "--copy=c"]);
        assert_eq!(queues::position(&mut place.client, "q", "d"), (second, None));

        place.done(&["register", "q", "late"]);
        assert_eq!(queues::position(&mut place.client, "q", "late"), (last, None));
        place.refused(
            &["register", "q", "late", "--copy", "c"],
            2,
            &format!("to the position of `c`, tick {second}?"),
        );
        assert_eq!(queues::position(&mut place.client, "q", "late"), (last, None));
        place.done(&["register", "q", "late", "--copy", "c", "--force"]);
        assert_eq!(queues::position(&mut place.client, "q", "late"), (second, None));
    }
}

#[test]
fn an_invalid_position_registers_no_consumer() {
    for mut place in Place::each() {
        queue(&mut place);
        place.refused(&["register", "q", "x", "--at", "soon"], 2, "`soon` is no tick, no time");
        place.refused(&["register", "q", "x", "--at", "1", "--copy", "c"], 2, "exclude each other");
        let ticks = place.value("select 'tick 987654 does not exist; the queue has ticks ' || min(tick_id) || ' to ' || max(tick_id) from pgq.tick");
        place.refused(&["register", "q", "x", "--at", "987654"], 1, &ticks);
        // Invalid arguments are refused without a question.
        place.refused(&["register", "q", "c", "--at", "987654"], 1, &ticks);
        place.refused(&["register", "q", "c", "--copy", "y"], 1, "`y` is not registered; there are `c`");
        place.refused(&["register", "q", ""], 2, "a consumer's name must not be empty");
        place.refused(&["register", "a b", "c"], 1, "run `pgqadm CONFIG.ini create 'a b'`");
        place.refused(&["register", "q", "x", "--copy", "y"], 1, "`y` is not registered; there are `c`");
        place.refused(&["register", "nope", "x", "--copy", "c"], 1, "queue `nope` does not exist");
        place.refused(&["register", "nope", "x", "--at", "1"], 1, "queue `nope` does not exist");
        place.refused(&["register", "q"], 2, "command `register` takes <queue> <consumer>");
        let _unrelated = place.as_role("");
        place.refused(&["register", "q", "x", "--copy", "c"], 1, "permission denied");
        drop(_unrelated);
        assert_eq!(place.value("select string_agg(co_name, ',') from pgq.consumer"), "c");
    }
}

#[test]
fn the_last_consumer_may_be_unregistered_and_failed_events_are_removed_with_force_only() {
    for mut place in Place::each() {
        queue(&mut place);
        place.done(&["register", "q", "other"]);
        assert!(place.done(&["unregister", "q", "other"]).1.contains("`q`: unregistered"));
        assert!(place.done(&["unregister", "q", "other"]).1.contains("`q`: not registered"));

        let batch: i64 =
            place.client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("a batch").get(0);
        let fail = "select pgq.event_failed($1, ev_id, 'why') from pgq.get_batch_events($1)";
        place.client.query(fail, &[&batch]).expect("failed");
        place.refused(&["unregister", "q", "c"], 2, "and delete its 1 failed event?");
        let retry = "select pgq.event_retry($1, ev_id, 0) from pgq.get_batch_events($1)";
        place.client.query(retry, &[&batch]).expect("tagged");
        place.refused(&["unregister", "q", "c"], 2, "and delete its 1 retry event and 1 failed event?");
        assert_eq!(place.value("select count(*) from pgq.failed_queue"), "1");
        place.done(&["unregister", "q", "c", "--force"]);
        assert_eq!(place.value("select count(*) from pgq.subscription"), "0");
        assert_eq!(place.value("select count(*) from pgq.failed_queue"), "0");
        place.refused(&["unregister", "nope", "c"], 1, "queue `nope` does not exist; there are `q`");
    }
}
