//! Batches with several events of one id, as a mover of several queues writes them.

use super::*;

/// Inserts four events, two of one id, in one transaction or one each.
fn fill_with_duplicates(client: &mut Client, is_one_transaction: bool) {
    match is_one_transaction {
        true => insert_ids(client, &[4, 5, 5, 6]),
        false => {
            for (place, id) in [(1, 4_i64), (2, 5), (3, 5), (4, 6)] {
                let insert = "select pgq.insert_event_raw($1, $2::int8, now(), null, null, null, $3, null, null, null, null)";
                client.execute(insert, &[&QUEUE, &id, &format!("event {place}")]).expect("inserted");
            }
        }
    }
    queues::tick(client, QUEUE);
}

/// Retries the events until they are done; returns the numbers of the redelivered events, and how often each was
/// delivered.
fn returned(client: &mut Client, subscription: &Subscription) -> Vec<(i64, i32)> {
    let mut seen = Vec::new();
    // The extension redelivers events of one id one after the other.
    for _ in 0..2 {
        return_retries(client);
        seen.extend(take(client, subscription));
    }
    seen.sort_unstable();
    seen
}

#[test]
fn each_has_an_outcome_of_its_own() {
    for pgq in Pgq::WHOLE {
        for is_one_transaction in [true, false] {
            let (_database, mut client) = pgq.database();
            let subscription = subscribe(&mut client, |settings| settings.merge_events = 0);
            fill_with_duplicates(&mut client, is_one_transaction);
            let mut consumer = handler(|event, _| match number(event) {
                2 => Ok(Outcome::Failed("no".to_owned())),
                3 => Ok(Outcome::Retry(Duration::ZERO)),
                _ => Ok(Outcome::Done),
            });
            deliver(&mut client, &subscription, &mut consumer).expect("delivered");
            assert_eq!(failed(&mut client), [("event 2".to_owned(), "no".to_owned())], "{pgq:?}");
            assert_eq!(returned(&mut client, &subscription), [(3, 1)], "{pgq:?}");
        }
    }
}

#[test]
fn all_may_be_retried_or_fail() {
    for pgq in Pgq::WHOLE {
        for is_one_transaction in [true, false] {
            for autocommit in [true, false] {
                let (_database, mut client) = pgq.database();
                let subscription = subscribe(&mut client, |settings| {
                    settings.autocommit = autocommit;
                    settings.merge_events = 0;
                });
                fill_with_duplicates(&mut client, is_one_transaction);
                let mut consumer = handler(|event, _| Ok(Outcome::Failed(format!("no {}", number(event)))));
                deliver(&mut client, &subscription, &mut consumer).expect("delivered");
                let mut reasons: Vec<_> = failed(&mut client);
                reasons.sort();
                let expected = [1, 2, 3, 4].map(|n| (format!("event {n}"), format!("no {n}")));
                assert_eq!(reasons, expected, "{pgq:?}");

                fill_with_duplicates(&mut client, is_one_transaction);
                let mut consumer = handler(|_, _| Ok(Outcome::Retry(Duration::ZERO)));
                deliver(&mut client, &subscription, &mut consumer).expect("delivered");
                let expected = [1, 2, 3, 4].map(|n| (n, 1));
                assert_eq!(returned(&mut client, &subscription), expected, "{pgq:?}");
            }
        }
    }
}

#[test]
fn names_of_any_bytes_are_distinguished() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    let texts = [None, Some(""), Some(queues::UNUSUAL), Some("x")];
    for (type_, data) in texts.iter().flat_map(|text| texts.map(|other| (*text, other))) {
        for time in ["infinity", "-infinity", "2020-01-01 00:00:00.000001+00"] {
            let insert = "select pgq.insert_event_raw($1, 5, $4::text::timestamptz, null, null, $2, $3, $3, $2, null, $3)";
            client.execute(insert, &[&QUEUE, &type_, &data, &time]).expect("inserted");
        }
    }
    queues::tick(&mut client, QUEUE);
    let mut place = 0;
    let mut consumer = handler(|_, _| {
        place += 1;
        Ok(if place % 3 == 0 { Outcome::Failed(place.to_string()) } else { Outcome::Done })
    });
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    let events = pgq::admin::failed_events(&mut client, QUEUE, CONSUMER, None, 0).expect("listed");
    assert_eq!((place, events.len()), (48, 16));
}

#[test]
fn the_extension_alone_refuses_ambiguous_events() {
    let (_database, mut client) = Pgq::Bare.database();
    let subscription = subscribe(&mut client, |_| ());
    fill_with_duplicates(&mut client, true);
    let mut consumer = handler(|event, _| match number(event) {
        3 => Ok(Outcome::Retry(Duration::ZERO)),
        _ => Ok(Outcome::Done),
    });
    let error = deliver(&mut client, &subscription, &mut consumer).expect_err("it would take any one");
    let text = dbscript::describe(&*error);
    assert!(text.contains("holds several events with this id"), "{text}");
    let mut consumer = handler(|event, _| match number(event) {
        4 => Ok(Outcome::Retry(Duration::ZERO)),
        _ => Ok(Outcome::Done),
    });
    deliver(&mut client, &subscription, &mut consumer).expect("there is but one of that id");
}

/// Programs of another make name an id alone.
#[test]
fn functions_that_take_an_id_leave_none_out() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription = subscribe(&mut client, |_| ());
    fill_with_duplicates(&mut client, true);
    let info = subscription.next_batch(&mut client).expect("the server answers").expect("there is a batch");
    for expected in [1, 0] {
        let row = client.query_one("select pgq.event_retry($1, 5, 0)", &[&info.id]).expect("scheduled");
        assert_eq!(row.get::<_, i32>(0), expected);
    }
    for many in
        ["pgq.event_retry_many($1, array[5], array[0])", "pgq.event_failed_many($1, array[5], array['no'])"]
    {
        let error = client.query_one(&format!("select {many}"), &[&info.id]).expect_err("which of the two?");
        assert!(dbscript::describe(&error).contains("holds several events with the id 5"), "{error:?}");
    }
    client.execute("select pgq.finish_batch($1)", &[&info.id]).expect("finished");
    assert_eq!(return_retries(&mut client), 2);
    let mut seen = take(&mut client, &subscription);
    seen.sort_unstable();
    assert_eq!(seen, [(2, 1), (3, 1)]);
}
