//! Events are stored as those of the blocking functions.

use chrono::{DateTime, Utc};
use pgq::{Batch, NewEvent, Settings, Subscription};
use postgres::Client;
use serde::{Deserialize, Serialize};

use super::Driver;
use crate::buffered::{KINDS, QUEUE, database};
use crate::support::queues::{self, UNUSUAL};

const COUNT: usize = 10_000;

/// Times at the ends of the range, and one that is the server's.
fn times() -> [Option<DateTime<Utc>>; 6] {
    let time = |text: &str| Some(text.parse().expect("a time"));
    [
        None,
        time("2007-10-19T20:59:59.123456Z"),
        time("-0043-03-15T12:00:00Z"),
        time("+12345-01-01T00:00:00Z"),
        Some(DateTime::<Utc>::MAX_UTC),
        Some(DateTime::<Utc>::MIN_UTC),
    ]
}

/// Makes events with unusual texts and NULLs in all places.
fn events() -> Vec<NewEvent<'static>> {
    let texts = [None, Some(""), Some(UNUSUAL), Some("\\N"), Some("{null,\"")];
    let times = times();
    let event = |n: usize| {
        let text = |place: u32| texts[(n / 5_usize.pow(place)) % 5];
        let extra = [text(2), text(3), text(4), None];
        let event = NewEvent::default().event_type(text(0)).data(text(1)).extra(extra);
        times[n % times.len()].map_or(event.clone(), |time| event.time(time))
    };
    (0..COUNT).map(event).collect()
}

/// Returns a queue's events in order, without the times that are the server's.
fn stored(client: &mut Client, queue: &str) -> queues::Rows {
    let mut rows = queues::events(client, queue);
    let is_servers = |number: &usize| number.is_multiple_of(times().len()) || *number >= COUNT;
    (0..rows.len()).filter(is_servers).for_each(|number| {
        rows[number][6].take().expect("has a time");
    });
    rows
}

pub(super) fn all_columns_and_times_are_those_of_the_blocking_functions<D: Driver>() {
    let (database, mut client) = queues::database("driver", QUEUE);
    queues::create(&mut client, "blocking");
    let mut driver = D::connect(&database.conninfo());
    let events = events();
    assert_eq!(pgq::bulk_insert(&mut client, "blocking", events.clone()).expect("inserted"), 10_000);
    assert_eq!(driver.bulk_insert(QUEUE, &events).expect("inserted"), 10_000);
    for event in
        [NewEvent::default(), NewEvent::text(UNUSUAL, "").extra([None, Some(""), Some(UNUSUAL), None])]
    {
        pgq::insert_new_event(&mut client, "blocking", &event).expect("inserted");
        driver.insert_new_event(QUEUE, &event).expect("inserted");
    }
    let refused = driver.insert_new_event(QUEUE, &events[1]).expect_err("a time");
    assert!(refused.kind() == pgq::ErrorKind::Usage, "{refused:?}");
    let (expected, written) = (stored(&mut client, "blocking"), stored(&mut client, QUEUE));
    assert_eq!(expected.len(), COUNT + 2);
    for (expected, written) in expected.iter().zip(&written) {
        assert_eq!(expected, written);
    }
    assert_eq!(expected.len(), written.len());
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Order {
    id: i64,
    customer: Option<String>,
    lines: Vec<String>,
    is_paid: bool,
}

pub(super) fn a_consumer_reads_what_was_written_as_json_and_fields<D: Driver>() {
    let order = || Order { id: i64::MAX, customer: None, lines: vec![UNUSUAL.to_owned()], is_paid: true };
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        pgq::admin::register_consumer(&mut client, QUEUE, "consumer").expect("registered");
        let mut driver = D::connect(&database.conninfo());
        driver.begin();
        let json = NewEvent::json("json", &order()).expect("JSON");
        driver.insert_new_event(QUEUE, &json).expect("inserted");
        let fields = NewEvent::urlencoded("fields", &order()).expect("fields");
        driver.bulk_insert(QUEUE, &[json, fields]).expect("inserted");
        driver.commit();
        queues::tick(&mut client, QUEUE);
        let subscription = Subscription::new(Settings::new(QUEUE, "consumer"));
        let info = subscription.next_batch(&mut client).expect("the server answers").expect("a batch");
        let mut batch = Batch::open(&mut client, &subscription, info).expect("opened");
        let mut types = Vec::new();
        while let Some(event) = batch.next_event().expect("read") {
            let read: Order = if event.event_type() == "json" { event.json() } else { event.urldecode_as() }
                .expect("readable");
            assert_eq!(read, order());
            types.push(event.event_type().to_owned());
        }
        batch.finish().expect("finished");
        assert_eq!(types, ["json", "json", "fields"]);
    }
}
