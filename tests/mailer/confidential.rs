//! The log of refused mails does not contain addresses; the failed events do.

use super::{Office, QUEUE};
use crate::support::queues;

#[test]
fn addresses_stay_in_the_database() {
    let mut office = Office::open();
    office.insert_only("Kaiv", "echo550-secret@example.com");
    office.insert_only("Kaiv", "echo451-secret@example.com");
    office.insert_only("Kaiv", "two-secret@example.com,x@example.com");
    pgq::insert_event(&mut office.client, QUEUE, "I:", "email=secret%40example.com%zz").expect("inserted");
    queues::tick(&mut office.client, QUEUE);
    office.drain();
    let log = office.log();
    assert!(log.contains("has failed: 550 5.1.1 … unknown"), "{log}");
    assert!(log.contains("is deferred: 451 4.2.1 … is busy"), "{log}");
    assert!(log.contains("`…` is not one mail address"), "{log}");
    assert!(log.contains("field `email`: a `%` without two hexadecimal digits"), "{log}");
    assert!(!log.contains("secret"), "{log}");
    let reasons: Vec<String> =
        office.failed().iter().filter_map(|event| event.reason().map(str::to_owned)).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason.contains("secret")), "{reasons:?}");
}
