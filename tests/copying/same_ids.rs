//! Events of one queue with the same id, written by movers of several queues: all are kept.

use std::time::Duration;

use pgq::schema::Kind;
use pgq::{Batch, Settings, Subscription};
use postgres::Client;

use super::{CONSUMER, KINDS, QUEUE, database, read, tick_and_read};
use crate::support::{Database, queues};

fn insert(client: &mut Client, data: &str) {
    let insert = "select pgq.insert_event_raw($1, 5, now(), null, null, 't', $2, null, null, null, null)";
    client.execute(insert, &[&QUEUE, &data]).expect("inserted");
    queues::tick(client, QUEUE);
}

/// Handles each event of the next batch in a way.
fn next(client: &mut Client, tag: impl Fn(&mut Batch<'_>, &pgq::Event)) -> Result<(), pgq::Error> {
    let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
    let info = subscription.next_batch(client).expect("the server answers").expect("a batch");
    let mut batch = Batch::open(client, &subscription, info).expect("opened");
    while let Some(event) = batch.next_event().expect("read") {
        tag(&mut batch, &event);
    }
    batch.finish()
}

#[test]
fn failed_events_of_one_id_are_all_kept() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        // The same data, too, at other times.
        for data in ["A", "B", "B"] {
            insert(&mut client, data);
            next(&mut client, |batch, event| batch.fail(event, "no")).expect("finished");
        }
        let data = |client: &mut Client| {
            let failed = pgq::admin::failed_events(client, QUEUE, CONSUMER, None, 0).expect("listed");
            failed.iter().filter_map(|event| event.data().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(data(&mut client), ["A", "B", "B"], "{kind:?}");
        let mut paged = Vec::new();
        pgq::admin::each_failed_event(&mut client, QUEUE, CONSUMER, |event| {
            paged.extend(event.data().map(str::to_owned));
            std::ops::ControlFlow::Continue(())
        })
        .expect("listed");
        assert_eq!(paged.len(), 3);
        pgq::admin::retry_failed_event(&mut client, QUEUE, CONSUMER, 5).expect("moved");
        assert_eq!(tick_and_read(&mut client, QUEUE), ["A"]);
        pgq::admin::delete_failed_event(&mut client, QUEUE, CONSUMER, 5).expect("deleted");
        assert_eq!(data(&mut client), ["B"]);
        let late = "update pgq.failed_queue set ev_failed_time = now() - interval '1 day'";
        client.batch_execute(late).expect("older");
        insert(&mut client, "C");
        next(&mut client, |batch, event| batch.fail(event, "no")).expect("finished");
        assert_eq!(
            pgq::admin::purge_failed_events(&mut client, QUEUE, CONSUMER, Some("1 hour")).expect("purged"),
            1
        );
        assert_eq!(data(&mut client), ["C"]);
    }
}

/// One by one, as other programs do it.
#[test]
fn the_function_for_one_event_keeps_all_too() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        for data in ["A", "B"] {
            insert(&mut client, data);
            let fail = "select pgq.event_failed(pgq.next_batch($1, $2), 5, 'no')";
            for expected in [1, 0] {
                let failed: i32 = client.query_one(fail, &[&QUEUE, &CONSUMER]).expect("failed").get(0);
                assert_eq!(failed, expected, "twice");
            }
            read(&mut client, QUEUE);
        }
        assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 2);
    }
}

#[test]
fn retried_events_of_one_id_are_kept_or_an_error() {
    let retry = |batch: &mut Batch<'_>, event: &pgq::Event| batch.retry(event, Duration::ZERO);
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert(&mut client, "A");
        next(&mut client, retry).expect("finished");
        insert(&mut client, "B");
        let second = next(&mut client, retry);
        let mut seen = Vec::new();
        if kind == Kind::Extension {
            let error = second.expect_err("the extension's key leaves no room");
            assert!(dbscript::describe(&error).contains("another event with this id"), "{error:?}");
            assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
            next(&mut client, retry).expect("finished");
        } else {
            second.expect("both wait");
        }
        pgq::ticker::retry_events(&mut client).expect("returned");
        seen.extend(tick_and_read(&mut client, QUEUE));
        seen.sort_unstable();
        assert_eq!(seen, ["A", "B"], "{kind:?}");
    }
}

/// The extension's own function drops the second one and says so by a number alone.
#[test]
fn without_the_store_a_second_retry_is_an_error() {
    let database = Database::create_with_extension("copying");
    let mut client = database.client();
    queues::create_extension(&mut client);
    super::make_queue(&mut client, QUEUE);
    let retry = |batch: &mut Batch<'_>, event: &pgq::Event| batch.retry(event, Duration::ZERO);
    insert(&mut client, "A");
    next(&mut client, retry).expect("finished");
    insert(&mut client, "B");
    let error = next(&mut client, retry).expect_err("A waits");
    assert!(dbscript::describe(&error).contains("another event with this id"), "{error:?}");
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
    next(&mut client, retry).expect("finished");
}

/// Called by other programs, for one event and for a batch.
#[test]
fn the_own_functions_for_retries_keep_all() {
    for call in ["pgq.event_retry(batch, 5, 0)", "pgq.batch_retry(batch, 0)"] {
        let (_database, mut client) = database(Kind::Own);
        for data in ["A", "B"] {
            insert(&mut client, data);
            let statement = format!("select {call} from pgq.next_batch($1, $2) batch");
            for expected in [1, 0] {
                let retried: i32 =
                    client.query_one(&statement, &[&QUEUE, &CONSUMER]).expect("retried").get(0);
                assert_eq!(retried, expected, "twice");
            }
            read(&mut client, QUEUE);
        }
        assert_eq!(
            client.query_one("select pgq.maint_retry_events()", &[]).expect("returned").get::<_, i32>(0),
            2
        );
        let mut seen = tick_and_read(&mut client, QUEUE);
        seen.sort_unstable();
        assert_eq!(seen, ["A", "B"], "{call}");
    }
}
