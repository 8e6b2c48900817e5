//! Delayed events by the producers of this crate.

use chrono::{DateTime, TimeDelta, Utc};
use pgq::{BufferedProducer, BulkInsert, ErrorKind, NewEvent, OwnedEvent};

use super::*;

fn in_hours(hours: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(hours)
}

fn events() -> Vec<NewEvent<'static>> {
    vec![
        NewEvent::new("t", "now"),
        NewEvent::new("t", "later").extra4("e").at(in_hours(1)),
        NewEvent::new("t", "now too"),
        NewEvent::new("t", "past").at(DateTime::UNIX_EPOCH),
    ]
}

/// Checks that [`events`] were inserted.
fn check(client: &mut Client, kind: Kind) {
    assert_eq!(data(client, QUEUE), ["now", "now too"], "{kind}");
    assert_eq!(count(client, QUEUE), 2, "{kind}");
    assert_eq!(deliver(client), 1);
    assert_eq!(data(client, QUEUE)[2], "past");
    let left = pgq::admin::delayed_events(client, QUEUE, None, 0).expect("listed");
    let [event] = &*left else { panic!("{left:?}") };
    assert_eq!((event.data.as_deref(), event.extra[3].as_deref()), (Some("later"), Some("e")));
    assert!(pgq::admin::cancel_delayed_event(client, QUEUE, event.id).expect("cancelled"));
}

#[test]
fn blocking_functions_delay_events() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let event = NewEvent::new("t", "d").at(in_hours(1));
        let id = pgq::insert_new_event(&mut client, QUEUE, &event).expect("stored");
        assert!(pgq::admin::cancel_delayed_event(&mut client, QUEUE, id).expect("cancelled"));
        assert_eq!(pgq::bulk_insert(&mut client, QUEUE, events()).expect("inserted"), 4);
        check(&mut client, kind);
        let error = pgq::insert_new_event(&mut client, "nope", &event).expect_err("no queue");
        assert!(error.kind() == ErrorKind::Missing && error.to_string().contains("`nope`"), "{error}");

        let mut transaction = client.transaction().expect("begun");
        let mut bulk = BulkInsert::start(&mut transaction, QUEUE).expect("started");
        let error = bulk.write(&event).expect_err("COPY cannot delay an event");
        assert!(error.kind() == ErrorKind::Usage, "{error:?}");
        drop(bulk);
        drop(transaction);
        let error = pgq::produce::insert_statement(QUEUE, &event).expect_err("another statement");
        assert!(error.kind() == ErrorKind::Usage, "{error:?}");
    }
}

#[test]
fn many_delayed_events_are_stored_in_several_statements() {
    let (_database, mut client) = database(Kind::Own);
    let events = (0..10_000).map(|number| NewEvent::new("t", number.to_string()).at(DateTime::UNIX_EPOCH));
    assert_eq!(pgq::bulk_insert(&mut client, QUEUE, events).expect("inserted"), 10_000);
    assert_eq!(pgq::ticker::deliver_delayed_events(&mut client).expect("delivered"), 10_000);
    assert_eq!(queues::count(&mut client, QUEUE), 10_000);
}

#[test]
fn a_buffered_producer_delays_events() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let producer = BufferedProducer::builder(&database.conninfo(), QUEUE).spawn().expect("up");
        for event in events() {
            producer.send(event).expect("accepted");
        }
        producer.close().expect("written");
        check(&mut client, kind);
        let owned = OwnedEvent::new("t", "d").at(DateTime::UNIX_EPOCH);
        assert_eq!(owned.as_new_event(), NewEvent::new("t", "d").at(DateTime::UNIX_EPOCH));
    }
}

#[test]
fn asynchronous_functions_delay_events() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let id = runtime.block_on(async {
            let mut client = crate::tokio_producer::connect(&conninfo).await;
            assert_eq!(pgq::tokio::bulk_insert(&mut client, QUEUE, events()).await.expect("inserted"), 4);
            let event = NewEvent::new("t", "d").at(in_hours(2));
            pgq::tokio::insert_new_event(&client, QUEUE, &event).await.expect("stored")
        });
        assert!(pgq::admin::cancel_delayed_event(&mut client, QUEUE, id).expect("cancelled"));
        check(&mut client, kind);
    }
}

#[test]
fn the_error_of_a_missing_add_on_names_the_remedy() {
    let (database, mut client) = templates::bare("later");
    queues::create(&mut client, QUEUE);
    let event = NewEvent::new("t", "d").at(in_hours(1));
    let remedy = "not installed; run `pgqadm CONFIG.ini install` or `pgq::schema::install`";
    for error in [
        pgq::insert_new_event(&mut client, QUEUE, &event).expect_err("missing"),
        pgq::bulk_insert(&mut client, QUEUE, [event.clone()]).expect_err("missing"),
        pgq::admin::count_delayed_events(&mut client, QUEUE).expect_err("missing"),
    ] {
        assert!(error.kind() == ErrorKind::Missing && error.to_string().contains(remedy), "{error:?}");
    }
    drop(database);
}
