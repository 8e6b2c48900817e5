//! Delayed events, and events that are inserted once.

use chrono::{DateTime, TimeDelta, Utc};
use pgq::{ErrorKind, NewEvent};

use super::Driver;
use crate::buffered::{KINDS, QUEUE, data, database};
use crate::support::{queues, templates};

pub(super) fn delayed_events_and_events_once_are_those_of_the_blocking_functions<D: Driver>() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        let mut driver = D::connect(&database.conninfo());
        let later = NewEvent::new("t", "later").extra1("e").at(Utc::now() + TimeDelta::hours(1));
        let past = NewEvent::new("t", "past").at(DateTime::UNIX_EPOCH);
        let id = driver.insert_new_event(QUEUE, &later).expect("stored");
        driver.begin();
        let events = [past.clone(), NewEvent::new("t", "now"), later.clone()];
        assert_eq!(driver.bulk_insert(QUEUE, &events).expect("inserted"), 3);
        driver.commit();
        assert_eq!(data(&mut client), ["now"]);
        assert_eq!(pgq::ticker::deliver_delayed_events(&mut client).expect("delivered"), 1);
        assert_eq!(data(&mut client), ["now", "past"]);
        let left = pgq::admin::delayed_events(&mut client, QUEUE, None, 0).expect("listed");
        let [first, second] = &*left else { panic!("{left:?}") };
        assert_eq!(
            (first.id, first.extra[0].as_deref(), second.data.as_deref()),
            (id, Some("e"), Some("later"))
        );
        let error = driver.insert_new_event("nope", &later).expect_err("no queue");
        assert!(error.kind() == ErrorKind::Missing && error.to_string().contains("`nope`"), "{error:?}");

        let event = NewEvent::new("t", "once");
        let first = driver.insert_event_once(QUEUE, "key", &event).expect("inserted");
        let again = driver.insert_event_once(QUEUE, "key", &event).expect("found");
        assert!(first.is_new && !again.is_new && first.id == again.id);
        assert_eq!(data(&mut client), ["now", "past", "once"]);
        let error = driver.insert_event_once("nope", "key", &event).expect_err("no queue");
        assert!(error.kind() == ErrorKind::Missing, "{error:?}");
    }
    let (database, mut client) = templates::bare("driver");
    queues::create(&mut client, QUEUE);
    let mut driver = D::connect(&database.conninfo());
    let delayed = NewEvent::new("t", "d").at(Utc::now());
    for error in [
        driver.insert_new_event(QUEUE, &delayed).expect_err("not installed"),
        driver.bulk_insert(QUEUE, std::slice::from_ref(&delayed)).expect_err("not installed"),
        driver.insert_event_once(QUEUE, "key", &NewEvent::new("t", "d")).expect_err("not installed"),
    ] {
        assert!(error.kind() == ErrorKind::Missing && error.to_string().contains("install"), "{error:?}");
    }
}
