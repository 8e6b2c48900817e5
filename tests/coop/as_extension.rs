//! The behaviour of the extension `pgq_coop` alone: it registers in `next_batch`, and refuses to unregister.

use postgres::Client;
use postgres::error::SqlState;

use super::*;

fn text(client: &mut Client, select: &str) -> Option<String> {
    let row = client.query_one(&format!("select ({select})::text"), &[]);
    row.unwrap_or_else(|error| panic!("{select}: {error}")).get(0)
}

/// Returns the registered consumers, with the last tick of each.
fn registered(client: &mut Client) -> Vec<(String, Option<i64>)> {
    let rows = client.query("select consumer_name, last_tick from pgq.get_consumer_info()", &[]);
    let mut known: Vec<_> = rows.expect("readable").iter().map(|row| (row.get(0), row.get(1))).collect();
    known.sort();
    known
}

#[test]
fn a_call_for_a_batch_registers_consumer_and_subconsumer() {
    let (_database, mut client) = database(&[]);
    let first = fill(&mut client, 1, 2);
    for call in [
        "pgq_coop.next_batch('queue', 'main', 'one')",
        "pgq_coop.next_batch('queue', 'main', 'two', '1 hour')",
        "select batch_id from pgq_coop.next_batch_custom('queue', 'main', 'three', null, null, null)",
        "select batch_id from pgq_coop.next_batch_custom('queue', 'other', 'four', null, null, null, '1 hour')",
    ] {
        assert_eq!(text(&mut client, call), None, "nothing has come since: {call}");
    }
    let expected = [
        ("main", Some(first)),
        ("main.one", None),
        ("main.three", None),
        ("main.two", None),
        ("other", Some(first)),
        ("other.four", None),
    ];
    assert_eq!(registered(&mut client), expected.map(|(name, tick)| (name.to_owned(), tick)));
    fill(&mut client, 3, 2);
    let batch = text(&mut client, "pgq_coop.next_batch('queue', 'main', 'five')").expect("the one new to it");
    assert_eq!(events(&mut client, batch.parse().expect("a number")), [3, 4]);
    // PgQ's own function distinguishes them, too.
    assert_eq!(text(&mut client, "pgq.unregister_consumer('queue', 'main.two')").as_deref(), Some("1"));
    assert_eq!(text(&mut client, "pgq.unregister_consumer('queue', 'main')").as_deref(), Some("4"));
    assert_eq!(registered(&mut client).len(), 2);
}

#[test]
fn a_subconsumer_that_loses_its_batch_is_unregistered_until_its_next_call() {
    let (_database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a").expect("a batch");
    assert_eq!(take_over(&mut client, "b", "0"), Some(batch));
    let unregister = "pgq_coop.unregister_subconsumer('queue', 'consumer', 'a', 0)";
    assert_eq!(text(&mut client, unregister).as_deref(), Some("0"));
    let tick = row(&mut client, "consumer").0;
    assert_eq!(registered(&mut client).len(), 2, "consumer and b");
    assert_eq!(next_batch(&mut client, "a"), None);
    assert_eq!(registered(&mut client).len(), 3);
    assert_eq!(row(&mut client, "consumer").0, tick, "nothing was skipped");
    fill(&mut client, 2, 1);
    let next = next_batch(&mut client, "a").expect("a batch");
    assert_eq!(events(&mut client, next), [2]);
}

#[test]
fn an_open_batch_is_refused_in_the_extensions_words() {
    let (_database, mut client) = database(&["a"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a").expect("a batch");
    for handling in ["0", "2", "null"] {
        let call = |name: &str| {
            format!("select pgq_coop.unregister_subconsumer('queue', 'consumer', '{name}', {handling})")
        };
        assert_eq!(client.query_one(&call("nobody"), &[]).expect("answers").get::<_, i32>(0), 0);
        let error = client.query_one(&call("a"), &[]).expect_err("it has a batch");
        let error = error.as_db_error().expect("the server's");
        assert_eq!(error.message(), "subconsumer has active batch");
        assert_eq!(error.code(), &SqlState::OBJECT_IN_USE);
        assert!(
            error.detail().is_some_and(|detail| detail.contains(&format!("batch {batch} "))),
            "{error:?}"
        );
    }
    assert_eq!(next_batch(&mut client, "a"), Some(batch));
    assert_eq!(
        text(&mut client, "pgq_coop.unregister_subconsumer('queue', 'consumer', 'a', 1)").as_deref(),
        Some("1")
    );
}

#[test]
fn two_concurrent_calls_are_both_registered() {
    let (database, mut client) = database(&[]);
    let mut others = [database.client(), database.client()];
    let mut first = client.transaction().expect("begun");
    first.query_one("select pgq_coop.next_batch('queue', 'main', 'one')", &[]).expect("registered");
    std::thread::scope(|scope| {
        let calls: Vec<_> = others
            .iter_mut()
            .zip(["one", "two"])
            .map(|(other, name)| {
                let call = format!("select pgq_coop.next_batch('queue', 'main', '{name}')");
                scope.spawn(move || other.query_one(&call, &[]).map(|_| ()))
            })
            .collect();
        first.commit().expect("committed");
        calls.into_iter().for_each(|call| call.join().expect("no panic").expect("registered"));
    });
    let names: Vec<String> = registered(&mut client).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["main", "main.one", "main.two"]);
}

/// The library's consumers report an error after somebody has unregistered them. The operator who registers them again
/// decides on their position.
#[test]
fn the_library_does_not_register_an_unregistered_consumer() {
    let (_database, mut client) = database(&["a"]);
    let mut settings = pgq::Settings::new(QUEUE, CONSUMER);
    settings.subconsumer = Some("a".to_owned());
    let subscription = pgq::Subscription::new(settings);
    assert_eq!(subscription.next_batch(&mut client).expect("registered"), None);
    client.execute("select pgq.unregister_consumer('queue', 'consumer')", &[]).expect("unregistered");
    let error = subscription.next_batch(&mut client).expect_err("nobody is registered");
    assert!(error.kind() == pgq::ErrorKind::Missing, "{error:?}");
    assert!(dbscript::describe(&error).contains("consumer `consumer` is not registered"), "{error:?}");
    assert_eq!(registered(&mut client), []);
}
