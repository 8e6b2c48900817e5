//! Recurring events: scheduled, replaced, listed and removed.

use chrono::{DateTime, TimeDelta, Utc};
use pgq::{ErrorKind, NewEvent, Schedule};

use super::scheduled::{insert, make_due, schedule};
use super::*;
use crate::support::queues::UNUSUAL;

/// Returns the time of the server.
pub(super) fn now(client: &mut Client) -> DateTime<Utc> {
    client.query_one("select clock_timestamp()", &[]).expect("read").get(0)
}

#[test]
fn a_schedule_is_listed_with_its_next_time() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "a");
        let berlin =
            Schedule::new("30 6 * * MON-FRI").and_then(|new| new.in_zone("europe/berlin")).expect("valid");
        let event = NewEvent::new("type", UNUSUAL).extra([Some(UNUSUAL), None, Some(""), Some("4")]);
        let done = pgq::schedule_event(&mut client, QUEUE, UNUSUAL, &berlin, &event).expect("scheduled");
        assert!(done.is_new && done.is_changed, "{kind}");
        let now = now(&mut client);
        assert!(done.next > now && done.next <= now + TimeDelta::days(4), "{kind}: {}", done.next);
        assert_eq!(Some(done.next), berlin.next_after(now), "{kind}");
        schedule(&mut client, QUEUE, "Z", "@hourly");
        schedule(&mut client, "a", "z", "@daily");

        let mut names = |queue: Option<&str>| -> Vec<(String, String)> {
            let listed = pgq::admin::scheduled_events(&mut client, queue).expect("listed");
            listed.into_iter().map(|event| (event.queue, event.name)).collect()
        };
        let of = |queue: &str, name: &str| (queue.to_owned(), name.to_owned());
        let all = names(None);
        assert_eq!(names(Some("a")), [of("a", "z")], "{kind}");
        assert_eq!(names(Some(QUEUE)), [of(QUEUE, "Z"), of(QUEUE, UNUSUAL)], "{kind}");
        assert_eq!(all, [of("a", "z"), of(QUEUE, "Z"), of(QUEUE, UNUSUAL)], "{kind}");
        let listed = pgq::admin::scheduled_events(&mut client, Some(QUEUE)).expect("listed");
        let one = &listed[1];
        assert_eq!((&*one.cron, &*one.zone, &*one.role), ("30 6 * * MON-FRI", "Europe/Berlin", "postgres"));
        assert_eq!((one.next, one.event_type.as_deref()), (Some(done.next), Some("type")));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(one.data, text(UNUSUAL));
        assert_eq!(one.extra, [text(UNUSUAL), None, text(""), text("4")]);
    }
}

#[test]
fn a_schedule_of_the_same_name_is_replaced() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        schedule(&mut client, QUEUE, "s", "@hourly");
        make_due(&mut client);
        let mut again = |cron: &str, zone: &str, event: &NewEvent<'_>| {
            let schedule = Schedule::new(cron).and_then(|new| new.in_zone(zone)).expect("valid");
            let done = pgq::schedule_event(&mut client, QUEUE, "s", &schedule, event).expect("scheduled");
            assert!(!done.is_new);
            let versions = "select count(*), max(xmin::text) from pgq.scheduled_event";
            let row = client.query_one(versions, &[]).expect("read");
            assert_eq!(row.get::<_, i64>(0), 1);
            (done.is_changed, done.next < now(&mut client), row.get::<_, String>(1))
        };
        let event = NewEvent::new("type", "s");
        let first = again("@hourly", "UTC", &event);
        assert_eq!((first.0, first.1), (false, true), "{kind}: what is due stays due");
        let other = again("@hourly", "UTC", &event.clone().extra4("x"));
        assert_eq!((other.0, other.1), (true, true), "{kind}");
        assert_eq!(
            again("@hourly", "UTC", &event.clone().extra4("x")).2,
            other.2,
            "{kind}: nothing is written"
        );
        let other = again("0 * * * *", "UTC", &event);
        assert_eq!((other.0, other.1), (true, false), "{kind}: a new time");
        let other = again("0 * * * *", "Asia/Kolkata", &event);
        assert_eq!((other.0, other.1), (true, false), "{kind}");
        assert_eq!(insert(&mut client), 0, "{kind}");
        make_due(&mut client);
        assert_eq!(insert(&mut client), 1, "{kind}");
        assert_eq!(data(&mut client, QUEUE), ["s"], "{kind}");
    }
}

#[test]
fn a_schedule_is_removed() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "other");
        for name in ["kept", "gone"] {
            schedule(&mut client, QUEUE, name, "@hourly");
        }
        make_due(&mut client);
        let mut transaction = client.transaction().expect("begun");
        assert!(pgq::admin::unschedule_event(&mut transaction, QUEUE, "kept").expect("removed"));
        transaction.rollback().expect("rolled back");
        let mut remove =
            |queue, name| pgq::admin::unschedule_event(&mut client, queue, name).expect("removed");
        assert!(!remove("other", "gone") && remove(QUEUE, "gone") && !remove(QUEUE, "gone"), "{kind}");
        assert_eq!(insert(&mut client), 1, "{kind}");
        assert_eq!(data(&mut client, QUEUE), ["kept"], "{kind}");
        client.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect("dropped");
        for table in ["scheduled_event", "scheduled_time"] {
            let left = client.query_one(&format!("select count(*) from pgq.{table}"), &[]).expect("read");
            assert_eq!(left.get::<_, i64>(0), 0, "{kind}: {table}");
        }
    }
}

#[test]
fn what_is_wrong_is_an_error() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "q");
        let daily = Schedule::new("@daily").expect("valid");
        let event = NewEvent::new("t", "d");
        let mut error = |queue, name: &str, event: &NewEvent<'_>| {
            let error = pgq::schedule_event(&mut client, queue, name, &daily, event).expect_err(queue);
            (error.kind(), format!("{error:#}"))
        };
        let (missing, text) = error("nope", "s", &event);
        assert!(missing == ErrorKind::Missing && text.starts_with("queue `nope` does not exist"), "{text}");
        let (long, text) = error("q", &"x".repeat(1001), &event);
        assert!(long == ErrorKind::Failed && text.contains("at most 1000 bytes each"), "{text}");
        let (usage, text) = error("q", "s", &event.clone().at(Utc::now()));
        assert!(usage == ErrorKind::Usage && text.contains("a delayed event cannot recur"), "{text}");
        let (usage, text) = error("q", "s", &event.clone().time(Utc::now()));
        assert!(usage == ErrorKind::Usage, "{text}");
        for gone in [
            pgq::admin::unschedule_event(&mut client, "nope", "s").map(|_| ()),
            pgq::admin::scheduled_events(&mut client, Some("nope")).map(|_| ()),
        ] {
            assert_eq!(gone.expect_err("no queue").kind(), ErrorKind::Missing);
        }
        let call = |arguments: &str| {
            format!("select pgq.schedule_event({arguments}, 't', 'd', null, null, null, null)")
        };
        let too_long =
            "the name, the cron pattern and the time zone of a schedule must have at most 1000 bytes each";
        for (arguments, message) in [
            ("'nope', 's', '@daily', 'UTC', null", "queue `nope` does not exist"),
            ("'q', null, '@daily', 'UTC', null", too_long),
            ("'q', 's', '@daily', null, null", too_long),
            ("'q', 's', repeat('x', 1001), 'UTC', null", too_long),
            (
                "'q', 's', '@daily', 'UTC', 'infinity'",
                "the next time of a schedule must be finite, and is `infinity`",
            ),
        ] {
            assert_eq!(refusal(&mut client, &call(arguments)), message, "{kind}: {arguments}");
        }
        client.batch_execute("update pgq.queue set queue_disable_insert = true").expect("set");
        let disabled = refusal(&mut client, &call("'q', 's', '@daily', 'UTC', null"));
        assert_eq!(disabled, "inserting into queue `q` is disabled");
    }
    let (_database, mut client) = templates::bare("later");
    queues::create(&mut client, QUEUE);
    let daily = Schedule::new("@daily").expect("valid");
    for error in [
        pgq::schedule_event(&mut client, QUEUE, "s", &daily, &NewEvent::new("t", "d")).map(|_| ()),
        pgq::admin::unschedule_event(&mut client, QUEUE, "s").map(|_| ()),
        pgq::admin::scheduled_events(&mut client, None).map(|_| ()),
    ] {
        let error = error.expect_err("not installed");
        assert!(error.kind() == ErrorKind::Missing && error.to_string().contains("install"), "{error:?}");
    }
    assert_eq!(insert(&mut client), 0);
}

#[test]
fn the_asynchronous_function_does_the_same() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let yearly = Schedule::new("@yearly").and_then(|new| new.in_zone("Asia/Kolkata")).expect("valid");
        let event = NewEvent::new("type", UNUSUAL).extra2("e");
        let conninfo = database.conninfo();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (done, missing, delayed) = runtime.block_on(async {
            let client = crate::tokio_producer::connect(&conninfo).await;
            let done = pgq::tokio::schedule_event(&client, QUEUE, "s", &yearly, &event).await;
            let missing = pgq::tokio::schedule_event(&client, "nope", "s", &yearly, &event).await;
            let late = event.clone().at(Utc::now());
            (done, missing, pgq::tokio::schedule_event(&client, QUEUE, "s", &yearly, &late).await)
        });
        let done = done.expect("scheduled");
        assert!(done.is_new, "{kind}");
        assert_eq!(missing.expect_err("no queue").kind(), ErrorKind::Missing);
        assert_eq!(delayed.expect_err("delayed").kind(), ErrorKind::Usage);
        let again = pgq::schedule_event(&mut client, QUEUE, "s", &yearly, &event).expect("scheduled");
        assert_eq!((again.is_new, again.is_changed, again.next), (false, false, done.next), "{kind}");
    }
}
