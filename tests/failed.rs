//! Failed events: tagged, listed, counted, retried, deleted.

mod installing;

use pgq::admin::FailedEvent;
use pgq::schema;
use postgres::Client;

use crate::support::Database;
use crate::support::queues::{self, UNUSUAL};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";

/// Returns a database with the store, a queue and a consumer.
fn database() -> (Database, Client) {
    let (database, mut client) = queues::database("failed", QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    (database, client)
}

fn next_batch(client: &mut Client) -> i64 {
    client.query_one("select pgq.next_batch($1, $2)", &[&QUEUE, &CONSUMER]).expect("a batch").get(0)
}

fn fail(client: &mut Client, batch: i64, event: i64, reason: Option<&str>) -> i32 {
    let row = client.query_one("select pgq.event_failed($1, $2, $3)", &[&batch, &event, &reason]);
    row.expect("tagged").get(0)
}

fn finish(client: &mut Client, batch: i64) {
    let row = client.query_one("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    assert_eq!(row.get::<_, i32>(0), 1);
}

/// Inserts three events and fails the first two.
fn fail_two_of_three(client: &mut Client) {
    queues::insert(client, QUEUE, 1, 3);
    queues::tick(client, QUEUE);
    let batch = next_batch(client);
    assert_eq!(fail(client, batch, 2, None), 1);
    assert_eq!(fail(client, batch, 1, Some(UNUSUAL)), 1);
    finish(client, batch);
}

fn list(client: &mut Client) -> Vec<FailedEvent> {
    pgq::admin::failed_events(client, QUEUE, CONSUMER, None, 0).expect("listed")
}

fn ids(events: &[FailedEvent]) -> Vec<i64> {
    events.iter().map(|event| event.id()).collect()
}

#[test]
fn a_failed_event_is_kept_as_it_was_with_its_reason() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    let events = list(&mut client);
    assert_eq!(ids(&events), [1, 2]);
    assert_eq!((events[0].reason(), events[1].reason()), (Some(UNUSUAL), None));
    assert_eq!((events[0].event_type(), events[0].data()), ("type", Some("event 1")));
    assert_eq!((events[0].extra1(), events[0].extra2(), events[0].retry()), (Some("extra"), None, 0));
    assert!(events[0].txid() > 0 && events[0].failed_at() > events[0].time());
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 2);
    let position = queues::position(&mut client, QUEUE, CONSUMER);
    assert!(position.1.is_none(), "the batch is finished");
}

#[test]
fn a_page_begins_after_an_event_and_its_texts_are_cut() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    let mut page = |after, limit| {
        pgq::admin::failed_event_page(&mut client, QUEUE, CONSUMER, after, limit, 3).expect("listed")
    };
    assert_eq!(ids(&page(None, 1)), [1]);
    assert_eq!(ids(&page(Some(1), 10)), [2]);
    assert!(page(Some(2), 10).is_empty());
    let first = &page(None, 1)[0];
    assert_eq!((first.event_type(), first.data(), first.extra1()), ("typ", Some("eve"), Some("ext")));
    assert_eq!((first.reason(), first.extra2()), (Some("o'd"), None));
    assert!(first.txid() > 0 && first.failed_at() > first.time());
}

#[test]
fn a_redelivered_batch_fails_an_event_once() {
    let (_database, mut client) = database();
    queues::insert(&mut client, QUEUE, 1, 1);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client);
    assert_eq!(fail(&mut client, batch, 1, Some("first")), 1);
    assert_eq!(next_batch(&mut client), batch);
    assert_eq!(fail(&mut client, batch, 1, Some("second")), 0);
    let events = list(&mut client);
    assert_eq!((events.len(), events[0].reason()), (1, Some("first")));
}

#[test]
fn a_list_is_read_in_pages() {
    let (_database, mut client) = database();
    queues::insert(&mut client, QUEUE, 1, 10);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client);
    for event in [9, 3, 7, 1, 5] {
        fail(&mut client, batch, event, None);
    }
    let mut page = |limit, offset| {
        ids(&pgq::admin::failed_events(&mut client, QUEUE, CONSUMER, limit, offset).expect("listed"))
    };
    assert_eq!(page(None, 0), [1, 3, 5, 7, 9]);
    assert_eq!(page(Some(2), 0), [1, 3]);
    assert_eq!(page(Some(2), 3), [7, 9]);
    assert_eq!(page(None, 4), [9]);
    assert_eq!(page(Some(u32::MAX), u32::MAX), [0; 0]);
}

#[test]
fn a_retried_event_is_redelivered_to_its_consumer_alone() {
    let (_database, mut client) = database();
    pgq::admin::register_consumer(&mut client, QUEUE, "other").expect("registered");
    fail_two_of_three(&mut client);
    pgq::admin::retry_failed_event(&mut client, QUEUE, CONSUMER, 1).expect("retried");
    assert_eq!(ids(&list(&mut client)), [2]);
    let before: Vec<String> = vec!["event 1".to_owned(), "event 2".to_owned(), "event 3".to_owned()];
    queues::tick(&mut client, QUEUE);
    assert_eq!(data(&mut client, "other"), (before, vec![0, 0, 0]));
    assert_eq!(data(&mut client, "other"), (vec![], vec![]));
    assert_eq!(data(&mut client, CONSUMER), (vec!["event 1".to_owned()], vec![1]));
}

/// Reads and finishes a batch; returns the events' data and how often they were retried.
fn data(client: &mut Client, consumer: &str) -> (Vec<String>, Vec<i32>) {
    let batch: i64 =
        client.query_one("select pgq.next_batch($1, $2)", &[&QUEUE, &consumer]).expect("a batch").get(0);
    let rows = client
        .query("select ev_data, coalesce(ev_retry, 0) from pgq.get_batch_events($1)", &[&batch])
        .expect("readable");
    finish(client, batch);
    rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, i32>(1))).unzip()
}

#[test]
fn every_retry_raises_the_count_and_the_event_may_fail_again() {
    let (_database, mut client) = database();
    queues::insert(&mut client, QUEUE, 1, 1);
    for round in 0..4 {
        queues::tick(&mut client, QUEUE);
        let batch = next_batch(&mut client);
        assert_eq!(fail(&mut client, batch, 1, Some("again")), 1);
        finish(&mut client, batch);
        assert_eq!(list(&mut client)[0].retry(), round);
        pgq::admin::retry_failed_event(&mut client, QUEUE, CONSUMER, 1).expect("retried");
    }
}

#[test]
fn an_event_that_the_retry_queue_brought_back_may_fail() {
    let (_database, mut client) = database();
    queues::insert(&mut client, QUEUE, 1, 1);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client);
    client.query_one("select pgq.event_retry($1, 1, 0)", &[&batch]).expect("tagged");
    finish(&mut client, batch);
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client);
    assert_eq!(fail(&mut client, batch, 1, Some("twice")), 1);
    assert_eq!(list(&mut client)[0].retry(), 1);
}

#[test]
fn a_deleted_event_is_removed() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    pgq::admin::delete_failed_event(&mut client, QUEUE, CONSUMER, 2).expect("deleted");
    assert_eq!(ids(&list(&mut client)), [1]);
    let error = pgq::admin::delete_failed_event(&mut client, QUEUE, CONSUMER, 2).expect_err("gone");
    assert!(error.kind() == pgq::ErrorKind::Missing, "{error:?}");
    assert_eq!((error.queue(), error.event()), (Some(QUEUE), Some(2)));
}

#[test]
fn a_retry_that_the_queue_refuses_keeps_the_event() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
    let error = pgq::admin::retry_failed_event(&mut client, QUEUE, CONSUMER, 1).expect_err("refused");
    assert!(error.kind() != pgq::ErrorKind::Missing, "{error:?}");
    assert_eq!(ids(&list(&mut client)), [1, 2]);
}

#[test]
fn wrong_arguments_are_named() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    let error = |client: &mut Client, call: &str| {
        let error = client.query(&format!("select {call}"), &[]).expect_err(call);
        error.as_db_error().expect("the server's").message().to_owned()
    };
    for (call, message) in [
        (
            "pgq.failed_event_count('nope', 'consumer')",
            "consumer `consumer` is not registered on queue `nope`",
        ),
        ("pgq.failed_event_count('queue', 'nope')", "consumer `nope` is not registered on queue `queue`"),
        ("pgq.failed_event_list('queue', 'nope')", "consumer `nope` is not registered on queue `queue`"),
        (
            "pgq.failed_event_list('queue', 'nope', 1, 0)",
            "consumer `nope` is not registered on queue `queue`",
        ),
        ("pgq.failed_event_list('queue', null)", "consumer `<NULL>` is not registered on queue `queue`"),
        ("pgq.failed_event_retry('queue', 'nope', 1)", "consumer `nope` is not registered on queue `queue`"),
        (
            "pgq.failed_event_retry('queue', 'consumer', 3)",
            "consumer `consumer` on queue `queue` has no failed event 3",
        ),
        ("pgq.failed_event_delete('queue', 'nope', 1)", "consumer `nope` is not registered on queue `queue`"),
        (
            "pgq.failed_event_delete('queue', 'consumer', 3)",
            "consumer `consumer` on queue `queue` has no failed event 3",
        ),
        ("pgq.event_failed(77, 1, 'why')", "event 1: batch 77 is not open"),
        ("pgq.event_failed(null, 1, 'why')", "event 1: batch <NULL> is not open"),
    ] {
        assert_eq!(error(&mut client, call), message, "{call}");
    }
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client);
    let message = error(&mut client, &format!("pgq.event_failed({batch}, 3, 'why')"));
    assert_eq!(message, "batch 2 of consumer `consumer` on queue `queue` has no event 3");
}

#[test]
fn the_library_names_the_missing_object() {
    let database = Database::create_with_extension("failed");
    let mut client = database.client();
    queues::create_extension(&mut client);
    queues::create(&mut client, QUEUE);
    let error = pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect_err("not installed");
    assert!(
        error.kind() == pgq::ErrorKind::Missing && error.to_string().contains("`pgqadm CONFIG.ini install`"),
        "{error:?}"
    );
    schema::install(&mut client).expect("completed");
    let error = pgq::admin::failed_events(&mut client, "nope", CONSUMER, None, 0).expect_err("no queue");
    assert!(
        error.kind() == pgq::ErrorKind::Missing && error.to_string().contains("queue `nope` does not exist"),
        "{error:?}"
    );
    let error = pgq::admin::count_failed_events(&mut client, QUEUE, "nope").expect_err("no consumer");
    assert!(
        error.kind() == pgq::ErrorKind::Missing
            && error.to_string().contains("consumer `nope` (queue `queue`)"),
        "{error:?}"
    );
}
