//! Consumers that record events one by one.

use pgq::{Settings, Subscription};
use pgq_ext::Tracker;

use super::*;
use crate::support::templates;

const QUEUE: &str = "queue";

#[test]
fn events_of_another_batch_with_the_same_number_are_not_done() {
    let (_database, mut client) = queues::database("history", QUEUE);
    let (target, mut dst) = templates::recording("history_dst");
    let subscription = Subscription::new(Settings::new(QUEUE, "consumer"));
    subscription.register(&mut client).expect("registered");
    let start = queues::position(&mut client, QUEUE, "consumer").0;
    let mut opened = || {
        restore(&mut client, start, 1);
        batch(&mut client, QUEUE, 0, 3);
        subscription.next_batch(&mut client).expect("answers").expect("a batch")
    };
    let (first, second) = (opened(), opened());
    assert_eq!((first.id, first.tick), (second.id, second.tick));
    for tracker in [Tracker::new("consumer"), Tracker::new("consumer").subconsumer("s")] {
        let mut done = |batch, event| tracker.is_event_done(&mut dst, batch, event).expect("readable");
        assert!(!done(&first, 1));
        assert!(tracker.set_event_done(&mut target.client(), &first, 1).expect("recorded"));
        assert!(!tracker.set_event_done(&mut target.client(), &first, 1).expect("recorded before"));
        assert!(done(&first, 1) && !done(&second, 1) && !done(&first, 2));
        assert!(tracker.set_event_done(&mut target.client(), &second, 2).expect("recorded"));
        assert!(done(&second, 2) && !done(&second, 1) && !done(&first, 2));
    }
    // A number alone, as Python consumers write it, is accepted.
    let tracker = Tracker::new("python");
    dst.batch_execute(&format!("select pgq_ext.set_event_done('python', {}, 7)", first.id))
        .expect("recorded");
    assert!(tracker.is_event_done(&mut dst, &first, 7).expect("readable"));
    assert!(tracker.set_event_done(&mut dst, &first, 8).expect("recorded"));
    assert!(tracker.is_event_done(&mut dst, &first, 7).expect("readable"));
    assert!(!tracker.is_event_done(&mut dst, &second, 7).expect("readable"));
}

#[test]
fn transactions_of_one_batch_do_not_wait_for_each_other() {
    let (_database, mut client) = queues::database("history", QUEUE);
    let (target, mut dst) = templates::recording("history_dst");
    let subscription = Subscription::new(Settings::new(QUEUE, "consumer"));
    subscription.register(&mut client).expect("registered");
    batch(&mut client, QUEUE, 0, 3);
    let batch = subscription.next_batch(&mut client).expect("answers").expect("a batch");
    let tracker = Tracker::new("consumer");
    assert!(tracker.set_event_done(&mut dst, &batch, 1).expect("recorded"));
    let mut clients = [target.client(), target.client()];
    let mut transactions = clients.each_mut().map(|client| client.transaction().expect("begun"));
    for (event, transaction) in (2..).zip(&mut transactions) {
        transaction.batch_execute("set local lock_timeout = '1s'").expect("set");
        assert!(tracker.set_event_done(transaction, &batch, event).expect("recorded at once"));
    }
    for transaction in transactions {
        transaction.commit().expect("committed");
    }
    assert!((1..=3).all(|event| tracker.is_event_done(&mut dst, &batch, event).expect("readable")));
}
