//! Events that the server refuses, and roles that it refuses all events of.

use pgq::OwnedEvent;
use postgres::{Client, NoTls};

use super::{HOUR, KINDS, QUEUE, builder, data, database, event, numbers};
use crate::support::{Database, queues};

/// Refuses an event of the queue whose data is `bad`, as a server refuses text that it cannot store.
const REFUSE: &str = "alter table pgq.event_template add constraint good check (ev_data <> 'bad')";

#[test]
fn an_event_that_is_refused_does_not_stop_the_others() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        client.batch_execute(REFUSE).expect("altered");
        let producer = builder(&database.conninfo()).max_delay(HOUR).max_events(100).spawn().expect("up");
        let bad = OwnedEvent::new("bad one", "bad");
        for n in 0..40 {
            if n == 17 {
                producer.send(bad.clone()).expect("not known yet");
            }
            producer.send(event(n)).expect("accepted");
        }
        let error = producer.flush().expect_err("one is refused");
        let line = dbscript::describe(&error);
        assert!(line.contains("type `bad one`") && line.contains("\"good\""), "{line}");
        assert_eq!(data(&mut client), numbers(0..40));
        producer.send(event(40)).expect("the producer continues");
        assert_eq!(producer.stats().refused, 1);
        assert_eq!(producer.take_refused(), std::slice::from_ref(&bad));
        producer.flush().expect("the rest is committed");
        producer.send(bad.clone()).expect("not known yet");
        let left = producer.close().expect_err("refused");
        assert_eq!(left.into_events(), [bad]);
        assert_eq!(data(&mut client), numbers(0..41));
    }
}

#[test]
fn text_that_the_database_cannot_encode_is_returned() {
    let database = Database::create("latin");
    let name = format!("{}_latin", database.name());
    let create = format!("create database {name} encoding latin1 locale 'C' template template0");
    database.client().batch_execute(&create).expect("created");
    let conninfo = format!("{} dbname={name}", database.conninfo());
    let mut client = Client::connect(&conninfo, NoTls).expect("it is there");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    let producer = builder(&conninfo).max_delay(HOUR).spawn().expect("up");
    (0..3).for_each(|n| producer.send(event(n)).expect("accepted"));
    producer.send(OwnedEvent::new("t", "\u{1f418}")).expect("not known yet");
    let error = producer.close().expect_err("one is refused");
    assert_eq!(error.error().sqlstate().map(|state| state.code()), Some("22P05"));
    assert_eq!(error.events(), [OwnedEvent::new("t", "\u{1f418}")]);
    assert_eq!(data(&mut client), numbers(0..3));
    drop(client);
    database.client().batch_execute(&format!("drop database {name} with (force)")).expect("dropped");
}

#[test]
fn a_missing_right_to_insert_is_reported_at_the_start() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "buffered");
        let role = format!("{}_writer", database.name());
        client
            .batch_execute(&format!("create role {role} login; grant pgq_writer to {role}"))
            .expect("created");
        let builder = || builder(&format!("{} user={role}", database.conninfo()));
        let error = dbscript::describe(&builder().spawn().expect_err("no right"));
        assert!(error.contains(&format!("role `{role}` may not insert into the queue's tables")), "{error}");
        let grants = error.split_once("tables; run `").and_then(|(_, rest)| rest.split_once('`'));
        let (grants, _) = grants.expect("the grant");
        client.batch_execute(grants).expect("granted");
        let producer = builder().spawn().expect("up");
        producer.send(event(0)).expect("accepted");
        producer.close().expect("committed");
        client.batch_execute(&format!("drop owned by {role}; drop role {role}")).expect("dropped");
    }
}
