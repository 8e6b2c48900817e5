//! Inserting events.

use chrono::{DateTime, TimeZone, Utc};
use pgq::{BulkInsert, NewEvent};
use postgres::NoTls;

use crate::support::queues::{self, UNUSUAL};

const QUEUE: &str = "queue";

#[test]
fn bulk_and_single_inserts_write_the_same() {
    let (_database, mut client) = queues::database("bulk", QUEUE);
    queues::create(&mut client, "single");
    let texts = [None, Some(""), Some(UNUSUAL), Some("\\N")];
    let events: Vec<NewEvent<'_>> = (0..64)
        .map(|n| {
            let text = |place: usize| texts[(n >> place) % 4];
            NewEvent::default().event_type(text(0)).data(text(2)).extra([text(4), text(1), text(3), text(0)])
        })
        .collect();
    assert_eq!(pgq::bulk_insert(&mut client, QUEUE, events.iter().cloned()).expect("inserted"), 64);
    for event in &events {
        pgq::insert_new_event(&mut client, "single", event).expect("inserted");
    }
    let without_time =
        |rows: queues::Rows| -> queues::Rows { rows.into_iter().map(|row| row[..6].to_vec()).collect() };
    assert_eq!(
        without_time(queues::events(&mut client, QUEUE)),
        without_time(queues::events(&mut client, "single"))
    );
}

#[test]
fn events_belong_to_the_callers_transaction() {
    let (_database, mut client) = queues::database("transaction", QUEUE);
    let mut transaction = client.transaction().expect("begin");
    pgq::insert_event(&mut transaction, QUEUE, "t", "1").expect("inserted");
    pgq::bulk_insert(&mut transaction, QUEUE, [NewEvent::new("t", "2")]).expect("inserted");
    transaction.rollback().expect("rolled back");
    assert_eq!(queues::count(&mut client, QUEUE), 0);
    let mut transaction = client.transaction().expect("begin");
    let first = pgq::insert_event(&mut transaction, QUEUE, "t", "1").expect("inserted");
    let second = pgq::insert_event(&mut transaction, QUEUE, "t", "2").expect("inserted");
    assert!(second > first);
    pgq::bulk_insert(&mut transaction, QUEUE, [NewEvent::new("t", "3")]).expect("inserted");
    transaction.commit().expect("committed");
    assert_eq!(queues::count(&mut client, QUEUE), 3);
}

#[test]
fn bulk_events_may_have_a_time_of_their_own() {
    let (_database, mut client) = queues::database("time", QUEUE);
    let time: DateTime<Utc> =
        Utc.with_ymd_and_hms(2007, 10, 19, 20, 59, 59).single().expect("a time that is");
    let events = [NewEvent::new("t", "old").time(time), NewEvent::new("t", "new")];
    pgq::bulk_insert(&mut client, QUEUE, events).expect("inserted");
    let rows = queues::events(&mut client, QUEUE);
    assert_eq!(rows[0][6].as_deref(), Some("2007-10-19 20:59:59+00"));
    assert_ne!(rows[1][6], rows[0][6]);
}

#[test]
fn events_may_be_written_one_by_one() {
    let (_database, mut client) = queues::database("stream", QUEUE);
    let mut transaction = client.transaction().expect("begin");
    let mut bulk = BulkInsert::start(&mut transaction, QUEUE).expect("started");
    for n in 0..1000 {
        bulk.write(&NewEvent::new("t", format!("event {n}"))).expect("written");
    }
    assert_eq!(bulk.finish().expect("finished"), 1000);
    transaction.commit().expect("committed");
    assert_eq!(queues::count(&mut client, QUEUE), 1000);
    let mut transaction = client.transaction().expect("begin");
    BulkInsert::start(&mut transaction, QUEUE)
        .expect("started")
        .write(&NewEvent::default())
        .expect("written");
    assert!(transaction.execute("select 1", &[]).is_err(), "what was not finished fails");
}

#[test]
fn no_events_are_no_mistake() {
    let (_database, mut client) = queues::database("none", QUEUE);
    assert_eq!(pgq::bulk_insert(&mut client, QUEUE, []).expect("nothing to do"), 0);
}

#[test]
fn a_missing_queue_is_named() {
    let (_database, mut client) = queues::database("missing", QUEUE);
    for error in [
        pgq::insert_event(&mut client, "nope", "t", "d").expect_err("no queue"),
        pgq::bulk_insert(&mut client, "nope", [NewEvent::new("t", "d")]).expect_err("no queue"),
        pgq::admin::register_consumer(&mut client, "nope", "c").expect_err("no queue"),
        pgq::admin::require_queue(&mut client, "nope").expect_err("no queue"),
    ] {
        assert!(
            error.kind() == pgq::ErrorKind::Missing
                && error.to_string().contains("queue `nope` does not exist"),
            "{error}"
        );
    }
    // A failed bulk insert leaves the connection usable.
    assert_eq!(pgq::bulk_insert(&mut client, QUEUE, [NewEvent::new("t", "d")]).expect("inserted"), 1);
}

#[test]
fn a_queue_that_takes_no_events_refuses_both_ways() {
    let (_database, mut client) = queues::database("disabled", QUEUE);
    client.execute("update pgq.queue set queue_disable_insert = true", &[]).expect("updated");
    let single = pgq::insert_event(&mut client, QUEUE, "t", "d").expect_err("disabled");
    let bulk = pgq::bulk_insert(&mut client, QUEUE, [NewEvent::new("t", "d")]).expect_err("disabled");
    for error in [single, bulk] {
        let line = dbscript::describe(&error);
        assert!(
            error.kind() != pgq::ErrorKind::Missing
                && (line.contains("disabled") || line.contains("disallowed")),
            "{line}"
        );
    }
}

#[test]
fn a_pooled_connection_inserts_like_any_other() {
    let (database, mut client) = queues::database("pool", QUEUE);
    let config = database.conninfo().parse().expect("a connection string");
    let pool = r2d2::Pool::builder()
        .max_size(1)
        .build(r2d2_postgres::PostgresConnectionManager::new(config, NoTls))
        .expect("connected");
    let mut connection = pool.get().expect("idle");
    pgq::insert_event(&mut *connection, QUEUE, "t", "1").expect("inserted");
    pgq::bulk_insert(&mut *connection, QUEUE, [NewEvent::new("t", "2")]).expect("inserted");
    let mut transaction = connection.transaction().expect("begin");
    pgq::insert_event(&mut transaction, QUEUE, "t", "lost").expect("inserted");
    drop(transaction);
    drop(connection);
    let mut connection = pool.get().expect("idle again");
    let mut transaction = connection.transaction().expect("begin");
    let mut savepoint = transaction.transaction().expect("savepoint");
    pgq::insert_event(&mut savepoint, QUEUE, "t", "lost").expect("inserted");
    savepoint.rollback().expect("rolled back");
    pgq::insert_event(&mut transaction, QUEUE, "t", "3").expect("inserted");
    transaction.commit().expect("committed");
    let data: Vec<_> = queues::events(&mut client, QUEUE).into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(data, ["1", "2", "3"].map(|n| Some(n.to_owned())));
}
