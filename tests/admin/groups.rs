//! Subconsumers, which share the position of their consumer.

use super::Place;
use crate::support::queues;

/// Makes a queue with consumer `g` and its subconsumers `a` and `b`, of which `a` has three events open; returns the
/// first tick.
fn group(place: &mut Place) -> i64 {
    let client = &mut place.client;
    queues::create(client, "q");
    let first = queues::tick(client, "q");
    client
        .batch_execute(
            "select pgq_coop.register_subconsumer('q', 'g', 'a'), pgq_coop.register_subconsumer('q', 'g', 'b')",
        )
        .expect("registered");
    queues::insert(client, "q", 1, 3);
    queues::tick(client, "q");
    client.batch_execute("select pgq_coop.next_batch('q', 'g', 'a')").expect("a batch");
    first
}

const NAMES: &str = "select string_agg(co_name, ',' order by co_name) \
                     from pgq.subscription join pgq.consumer on co_id = sub_consumer";

#[test]
fn an_open_batch_of_a_subconsumer_is_redelivered_to_the_others() {
    for mut place in Place::each() {
        group(&mut place);
        let (_, log) = place.done(&["unregister", "q", "g.a"]);
        assert!(
            log.contains("unregistered; the events of its open batch return to the other subconsumers"),
            "{log}"
        );
        assert_eq!(place.value(NAMES), "g,g.b");
        assert_eq!(pgq::ticker::retry_events(&mut place.client).expect("returned"), 3);
        queues::tick(&mut place.client, "q");
        let events = "select count(*) from pgq.get_batch_events(pgq_coop.next_batch('q', 'g', 'b'))";
        assert_eq!(place.value(events), "3");
    }
}

#[test]
fn a_subconsumer_is_removed_alone_whatever_its_row_contains() {
    for mut place in Place::each() {
        group(&mut place);
        // Leaves a position behind, as a consumer of its own has.
        place
            .client
            .batch_execute(
                "select pgq.finish_batch(sub_batch) from pgq.subscription where sub_batch is not null",
            )
            .expect("finished");
        place.done(&["unregister", "q", "g.a"]);
        place.done(&["unregister", "q", "g.b"]);
        assert_eq!(place.value(NAMES), "g");
        place.done(&["unregister", "q", "g"]);
        assert_eq!(place.value(NAMES), "");
    }
}

#[test]
fn a_subconsumer_is_neither_moved_nor_copied() {
    for mut place in Place::each() {
        let tick = group(&mut place).to_string();
        let rows = "select string_agg(sub::text, ' ' order by sub_consumer) from pgq.subscription sub";
        let before = place.value(rows);
        let shares = "`g.a` shares the position of `g`";
        for force in [&[][..], &["--force"]] {
            place.refused(&[&["register", "q", "g.a", "--at", &tick], force].concat(), 2, shares);
            place.refused(&[&["register", "q", "g.a", "--copy", "g"], force].concat(), 2, shares);
            place.refused(&[&["register", "q", "g", "--copy", "g.a"], force].concat(), 2, shares);
        }
        assert_eq!(place.value(rows), before);
    }
}
