//! Events that are tagged several times, and ids that several events have.

use super::*;

/// Tags all events for a retry, then those with even numbers as failed, and the first one for a retry at once.
struct Undecided;

impl Consumer for Undecided {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        let mut events = Vec::new();
        while let Some(event) = batch.next_event()? {
            batch.retry(&event, Duration::from_secs(3600));
            events.push(event);
        }
        for event in events.iter().filter(|event| number(event) % 2 == 0) {
            batch.fail(event, format!("no {}", number(event)));
        }
        batch.retry(&events[0], Duration::ZERO);
        assert_eq!((batch.count(), batch.retried(), batch.failed()), (6, 4, 2));
        Ok(())
    }
}

#[test]
fn the_last_of_an_events_tags_counts_whatever_lies_between() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let subscription = subscribe(&mut client, |_| ());
        fill(&mut client, 6);
        deliver(&mut client, &subscription, &mut Undecided).expect("delivered");
        let expected = [2, 4].map(|n| (format!("event {n}"), format!("no {n}")));
        assert_eq!(failed(&mut client), expected, "{pgq:?}");
        assert_eq!(pgq::admin::retained_events(&mut client, QUEUE, CONSUMER).expect("counted").retry, 4);
        assert_eq!(return_retries(&mut client), 1, "{pgq:?}");
        assert_eq!(take(&mut client, &subscription), [(0, 1)]);
    }
}

#[test]
fn without_the_store_too_the_last_delay_counts() {
    let (_database, mut client) = Pgq::Bare.database();
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, 2);
    let mut batch = open(&mut client, &subscription);
    let events = [(); 2].map(|()| batch.next_event().expect("readable").expect("an event"));
    for delay in [Duration::from_secs(3600), Duration::ZERO] {
        events.iter().for_each(|event| batch.retry(event, delay));
    }
    batch.finish().expect("finished");
    assert_eq!(return_retries(&mut client), 2);
}

#[test]
fn of_an_event_that_a_call_names_twice_the_last_time_counts() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, 1);
    let info = subscription.next_batch(&mut client).expect("the server answers").expect("there is a batch");
    let many = "select pgq.event_retry_many($1, array[ev_id, ev_id], array[3600, 0]) \
                from pgq.get_batch_events($1)";
    assert_eq!(client.query_one(many, &[&info.id]).expect("scheduled").get::<_, i32>(0), 1);
    client.execute("select pgq.finish_batch($1)", &[&info.id]).expect("finished");
    assert_eq!(return_retries(&mut client), 1);
}

#[test]
fn an_event_beside_its_own_retry_may_be_retried() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let subscription = subscribe(&mut client, |_| ());
        let start = queues::position(&mut client, QUEUE, CONSUMER).0;
        fill(&mut client, 1);
        let retry = || handler(|_, _| Ok(Outcome::Retry(Duration::ZERO)));
        deliver(&mut client, &subscription, &mut retry()).expect("delivered");
        assert_eq!(return_retries(&mut client), 1);
        let back = "select pgq.register_consumer_at($1, $2, $3)";
        client.execute(back, &[&QUEUE, &CONSUMER, &start]).expect("moved back");
        deliver(&mut client, &subscription, &mut retry()).expect("delivered");
        assert_eq!(return_retries(&mut client), 1);
        assert_eq!(take(&mut client, &subscription), [(0, 2)], "{pgq:?}");
    }
}
