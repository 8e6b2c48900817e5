//! Times that no `DateTime` can hold.

use std::time::Duration;

use chrono::{DateTime, Utc};
use pgq::schema::Kind;
use pgq::{Batch, NewEvent, Settings, Subscription};
use postgres::Client;

use super::{CONSUMER, KINDS, QUEUE, database, make_queue};
use crate::support::queues;

fn open<'a>(client: &'a mut Client, subscription: &Subscription) -> Batch<'a> {
    let info = subscription.next_batch(client).expect("the server answers").expect("a batch");
    Batch::open(client, subscription, info).expect("opened")
}

#[test]
fn an_event_at_infinity_keeps_its_time() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        make_queue(&mut client, "copy");
        for (id, time) in (1_i64..).zip(["-infinity", "4713-01-01 BC", "294276-01-01", "infinity"]) {
            let insert = "select pgq.insert_event_raw($1, $2, $3::text::timestamptz, null, null, 't', 'd', \
                          null, null, null, null)";
            client.execute(insert, &[&QUEUE, &id, &time]).expect("inserted");
        }
        queues::tick(&mut client, QUEUE);
        let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
        let mut batch = open(&mut client, &subscription);
        let mut times = Vec::new();
        while let Some(event) = batch.next_event().expect("read") {
            times.push(event.time());
            batch.fail(&event, "no");
        }
        batch.finish().expect("finished");
        let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        assert_eq!([times[0], times[2], times[3]], [first, last, last]);
        assert!(times[1] > first, "{}", times[1]);
        let failed = pgq::admin::failed_events(&mut client, QUEUE, CONSUMER, None, 0).expect("listed");
        assert_eq!(failed.iter().map(|event| event.time()).collect::<Vec<_>>(), times);
        let copies = times.iter().map(|time| NewEvent::new("t", "d").time(*time));
        pgq::bulk_insert(&mut client, "copy", copies).expect("inserted");
        let stored: Vec<_> =
            queues::events(&mut client, "copy").into_iter().filter_map(|mut row| row.pop()?).collect();
        assert_eq!((&*stored[0], &*stored[3]), ("-infinity", "infinity"));
    }
}

/// Ticks of foreign origin, with all settings of a consumer.
#[test]
fn a_tick_at_infinity_ends_a_batch_as_any_other() {
    for kind in KINDS {
        let changes: [fn(&mut Settings); 5] = [
            |_| (),
            |settings| settings.merge_events = 0,
            |settings| settings.collect_events = Some(1),
            |settings| settings.collect_interval = Some(Duration::ZERO),
            |settings| settings.keep_lag = Some(Duration::from_millis(1)),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let (_database, mut client) = database(kind);
            let mut settings = Settings::new(QUEUE, CONSUMER);
            change(&mut settings);
            let subscription = Subscription::new(settings);
            client.batch_execute("update pgq.queue set queue_external_ticker = true").expect("set");
            let times = ["infinity", "-infinity", "infinity", "2007-10-19 20:59:59"];
            for (id, time) in (1001_i64..).zip(times) {
                queues::insert(&mut client, QUEUE, id, 1);
                let tick = "select pgq.ticker($1, $2::int8, $3::text::timestamptz, 100000 + $2::int8)";
                client.execute(tick, &[&QUEUE, &id, &time]).expect("a tick");
            }
            let mut seen = 0;
            while let Some(info) = subscription.next_batch(&mut client).expect("the server answers") {
                let mut batch = Batch::open(&mut client, &subscription, info.clone()).expect("opened");
                while batch.next_event().expect("read").is_some() {
                    seen += 1;
                }
                batch.finish().expect("finished");
                if info.tick == 1001 {
                    assert_eq!(info.tick_time, DateTime::<Utc>::MAX_UTC);
                }
                let status = pgq::status::Status::read(&mut client).expect("read");
                assert_eq!(status.queues[0].last_tick, Some(1004), "{kind:?} {at}");
                assert!(status.to_json().is_object());
            }
            assert_eq!(seen, 4, "{kind:?} {at}");
        }
    }
}

/// A queue that got ticks from elsewhere and gets its own now.
#[test]
fn a_ticker_continues_after_a_tick_at_infinity() {
    let (_database, mut client) = database(Kind::Own);
    client
        .batch_execute(
            "update pgq.queue set queue_external_ticker = true; \
             select pgq.ticker('queue', 1001, 'infinity', 100000); \
             update pgq.queue set queue_external_ticker = false",
        )
        .expect("a tick");
    assert!(queues::tick(&mut client, QUEUE) > 1001);
    client.batch_execute("select pgq.ticker()").expect("ticked");
    queues::insert(&mut client, QUEUE, 0, 1);
    assert!(queues::tick(&mut client, QUEUE) > 1002);
}
