//! Events that the stream can never store go to the failed events, each once, and all others to the stream.

use postgres::Client;

use super::{JOB, QUEUE, Setup, in_each_way};
use crate::support::queues;

/// Returns reason and id of the mover's failed events.
fn failed(client: &mut Client) -> Vec<(String, i64)> {
    let failed = pgq::admin::failed_events(client, QUEUE, JOB, None, 0).expect("readable");
    let each = failed.iter().map(|failed| (failed.reason().unwrap_or_default().to_owned(), failed.id()));
    each.collect()
}

/// Inserts an event whose data, type and third extra column have these lengths.
fn insert(client: &mut Client, data: usize, event_type: usize, extra: usize) -> i64 {
    let [data, event_type, extra] = [data, event_type, extra].map(|length| "x".repeat(length));
    let event = pgq::NewEvent::new(&event_type, &data).extra([None, None, Some(&extra), None]);
    pgq::insert_new_event(client, QUEUE, &event).expect("inserted")
}

#[test]
fn what_is_too_large_fails_with_its_reason_and_the_rest_is_moved() {
    in_each_way(|setup| {
        setup.register();
        let mut client = setup.client();
        let large = 1024 * 1024;
        let kinds = [
            (large, 4, 0, Some("its message of 1048")),
            (10, 3_000, 0, Some("its subject of 3007 bytes exceeds the limit of 2048 bytes")),
            (10, 4, 70_000, Some("exceeds the limit of 65535 bytes")),
            (large - 2_000, 4, 0, None),
            (10, 2_000, 0, None),
            (10, 4, 64_000, None),
        ];
        let (mut expected, mut fit) = (Vec::new(), Vec::new());
        for round in 0..2 {
            for (data, event_type, extra, reason) in kinds {
                queues::insert(&mut client, QUEUE, round * 10, 3);
                let id = insert(&mut client, data, event_type, extra);
                match reason {
                    Some(reason) => expected.push((reason, id)),
                    None => fit.push(id.to_string()),
                }
            }
        }
        queues::tick(&mut client, QUEUE);
        setup.drain();
        let found = failed(&mut client);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (reason, id) in expected {
            assert!(found.iter().any(|(text, at)| *at == id && text.contains(reason)), "{reason}: {found:?}");
        }
        let moved = setup.nats.events(super::STREAM);
        let ids: Vec<&str> = moved.iter().filter_map(|message| message.header("Pgq-Event-Id")).collect();
        assert_eq!(ids.len(), 2 * kinds.len() * 3 + fit.len());
        assert!(ids.is_sorted_by_key(|id| id.parse::<i64>().expect("a number")), "{ids:?}");
        assert!(fit.iter().all(|id| ids.contains(&id.as_str())), "{fit:?} {ids:?}");
    });
}

#[test]
fn a_batch_that_the_stream_has_still_fails_its_refused_events() {
    in_each_way(|setup| {
        setup.register();
        let mut client = setup.client();
        let (start, _) = queues::position(&mut client, QUEUE, JOB);
        queues::insert(&mut client, QUEUE, 0, 3);
        let id = insert(&mut client, 10, 3_000, 0);
        setup.insert(3, 3);
        setup.drain();
        // The mover dies when the stream has the batch and the source has not finished it.
        pgq::admin::delete_failed_event(&mut client, QUEUE, JOB, id).expect("deleted");
        pgq::admin::register_consumer_at(&mut client, QUEUE, JOB, start).expect("moved back");
        setup.drain();
        let found = failed(&mut client);
        assert!(
            matches!(&found[..], [(reason, at)] if *at == id && reason.contains("its subject")),
            "{found:?}"
        );
        setup.assert_moved_of("type");
    });
}

#[test]
fn a_retried_event_is_moved_when_the_limit_is_raised() {
    let mut setup = Setup::on(crate::support::nats::NatsServer::start_with(
        "max_payload: 2000\njetstream { store_dir: store }",
    ));
    setup.register();
    let mut client = setup.client();
    let id = insert(&mut client, 2_000, 4, 0);
    queues::tick(&mut client, QUEUE);
    setup.drain();
    assert_eq!(failed(&mut client).len(), 1);
    setup.nats.change("jetstream { store_dir: store }");
    pgq::admin::retry_failed_event(&mut client, QUEUE, JOB, id).expect("retried");
    pgq::ticker::retry_events(&mut client).expect("delivered");
    queues::tick(&mut client, QUEUE);
    setup.drain();
    let moved = setup.nats.events(super::STREAM);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].header("Pgq-Event-Id"), Some(id.to_string().as_str()));
    assert_eq!(failed(&mut client), []);
}

#[test]
fn by_choice_the_mover_stops_at_an_event_that_is_too_large() {
    let setup = Setup::create();
    setup.write_ini(&[("nats_too_large", "stop")]);
    setup.register();
    let mut client = setup.client();
    setup.insert(0, 3);
    let id = insert(&mut client, 10, 3_000, 0);
    setup.insert(3, 3);
    let error = setup.failure();
    let expected = format!("event {id}: its subject of 3007 bytes exceeds the limit of 2048 bytes");
    assert!(error.contains(&expected), "{error}");
    assert_eq!(failed(&mut client), []);
    setup.write_ini(&[]);
    setup.drain();
    setup.assert_moved_of("type");
    assert_eq!(failed(&mut client).len(), 1);
}

#[test]
fn without_a_store_of_failed_events_the_mover_stops_and_loses_nothing() {
    let setup = Setup::create();
    setup.register();
    let mut client = setup.client();
    insert(&mut client, 10, 3_000, 0);
    setup.insert(0, 3);
    let rename = |client: &mut Client, from: &str, to: &str| {
        let renamed = format!("alter function pgq.{from}(bigint, bigint[], text[], bytea[]) rename to {to}");
        client.batch_execute(&renamed).expect("renamed");
    };
    rename(&mut client, "event_failed_many", "elsewhere");
    let error = setup.failure();
    assert!(error.contains("failed events are not installed"), "{error}");
    rename(&mut client, "elsewhere", "event_failed_many");
    setup.drain();
    assert_eq!(failed(&mut client).len(), 1);
    setup.assert_moved_of("type");
}

#[test]
fn a_column_that_is_twice_in_the_subject_counts_twice() {
    let setup = Setup::create();
    setup.write_ini(&[("nats_subject", "orders.{type}.{type}.{type}.{type}")]);
    setup.register();
    let mut client = setup.client();
    let id = insert(&mut client, 10, 600, 0);
    let fits = insert(&mut client, 10, 500, 0);
    queues::tick(&mut client, QUEUE);
    setup.drain();
    assert!(matches!(&failed(&mut client)[..], [(_, at)] if *at == id));
    let moved = setup.nats.events(super::STREAM);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].header("Pgq-Event-Id"), Some(fits.to_string().as_str()));
}
