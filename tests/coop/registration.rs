//! Registering and unregistering subconsumers, and the rights for it.

use postgres::Client;

use super::*;
use crate::support::unique;

#[test]
fn registering_again_changes_nothing() {
    let (_database, mut client) = database(&["a"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a");
    assert_eq!(register(&mut client, "a"), 0);
    schema::install(&mut client).expect("installed again");
    assert_eq!(next_batch(&mut client, "a"), batch);
    let version: String = client.query_one("select pgq_coop.version()", &[]).expect("answers").get(0);
    assert_eq!(version, "3.5");
}

fn unregister(client: &mut Client, subconsumer: &str, batch_handling: i32) -> Result<i32, String> {
    let select = "select pgq_coop.unregister_subconsumer($1, $2, $3, $4)";
    let row = client.query_one(select, &[&QUEUE, &CONSUMER, &subconsumer, &batch_handling]);
    row.map(|row| row.get(0)).map_err(|error| error.as_db_error().expect("the server's").message().to_owned())
}

#[test]
fn a_subconsumer_without_a_batch_is_unregistered() {
    let (_database, mut client) = database(&["a", "b"]);
    assert_eq!(unregister(&mut client, "a", 0), Ok(1));
    assert_eq!(unregister(&mut client, "a", 0), Ok(0));
    fill(&mut client, 1, 1);
    assert!(next_batch(&mut client, "b").is_some());
    assert_eq!(register(&mut client, "a"), 1);
}

#[test]
fn a_subconsumer_with_a_batch_stays_unless_its_events_are_retried() {
    let (_database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 3);
    let batch = next_batch(&mut client, "a").expect("a batch");
    assert_eq!(unregister(&mut client, "a", 0), Err("subconsumer has active batch".to_owned()));
    assert_eq!(next_batch(&mut client, "a"), Some(batch));
    // Already tagged, and still redelivered only once.
    client.query_one("select pgq.event_retry($1, 2, 0)", &[&batch]).expect("tagged");
    assert_eq!(unregister(&mut client, "a", 1), Ok(1));
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 3);
    queues::tick(&mut client, QUEUE);
    let batch = next_batch(&mut client, "b").expect("a batch");
    assert_eq!(events(&mut client, batch), [1, 2, 3]);
    finish(&mut client, batch);
}

#[test]
fn unregistering_a_subconsumer_keeps_the_failed_events() {
    let (_database, mut client) = database(&["a"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a").expect("a batch");
    client.query_one("select pgq.event_failed($1, 1, 'why')", &[&batch]).expect("tagged");
    finish(&mut client, batch);
    assert_eq!(unregister(&mut client, "a", 0), Ok(1));
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 1);
    assert!(pgq::admin::unregister_consumer(&mut client, QUEUE, CONSUMER).expect("unregistered"));
    let left: i64 = client.query_one("select count(*) from pgq.failed_queue", &[]).expect("countable").get(0);
    assert_eq!(left, 0);
}

#[test]
fn unregistering_the_consumer_takes_its_subconsumers_along() {
    let (_database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 1);
    next_batch(&mut client, "a").expect("a batch");
    let removed: i32 = client
        .query_one("select pgq.unregister_consumer('queue', 'consumer')", &[])
        .expect("unregistered")
        .get(0);
    assert_eq!(removed, 3);
    let left: i64 = client.query_one("select count(*) from pgq.subscription", &[]).expect("countable").get(0);
    assert_eq!(left, 0);
}

/// Calls with wrong arguments, and their messages.
const WRONG_CALLS: [(&str, &str); 10] = [
    (
        "register_subconsumer('nope', 'c', 's')",
        "queue `nope` does not exist, consumer `c.s` cannot be registered",
    ),
    (
        "register_subconsumer('queue', 'c', '')",
        "subconsumer `` of consumer `c` on queue `queue`: a name must not be empty",
    ),
    (
        "register_subconsumer('queue', null, 's')",
        "subconsumer `s` of consumer `<NULL>` on queue `queue`: a name must not be empty",
    ),
    (
        "register_subconsumer('queue', 'consumer', 'taken')",
        "consumer `consumer.taken` on queue `queue` is there already and no subconsumer of `consumer`",
    ),
    (
        "register_subconsumer('queue', 'consumer.a', 's')",
        "consumer `consumer.a` on queue `queue` is a subconsumer, it cannot have subconsumers",
    ),
    (
        "next_batch('nope', 'consumer', 'a')",
        "queue `nope` does not exist, consumer `consumer.a` cannot be registered",
    ),
    (
        "next_batch('queue', 'consumer', 'taken')",
        "consumer `consumer.taken` on queue `queue` is there already and no subconsumer of `consumer`",
    ),
    (
        "next_batch('queue', 'consumer.a', 's')",
        "consumer `consumer.a` on queue `queue` is a subconsumer, it cannot have subconsumers",
    ),
    (
        "next_batch('queue', 'consumer', null, '1 s')",
        "subconsumer `<NULL>` of consumer `consumer` on queue `queue`: a name must not be empty",
    ),
    (
        "next_batch('queue', '', 'a')",
        "subconsumer `a` of consumer `` on queue `queue`: a name must not be empty",
    ),
];

#[test]
fn wrong_arguments_are_named() {
    let (_database, mut client) = database(&["a"]);
    pgq::admin::register_consumer(&mut client, QUEUE, "consumer.taken").expect("registered");
    for (call, message) in WRONG_CALLS {
        let error = client.query(&format!("select pgq_coop.{call}"), &[]).expect_err(call);
        assert_eq!(error.as_db_error().expect("the server's").message(), message, "{call}");
    }
}

#[test]
fn readers_consume_together_and_others_do_not() {
    let (_database, mut client) = database(&[]);
    let [reader, unrelated] = ["coop_reader", "coop_unrelated"].map(|name| format!("{name}_{}", unique()));
    let roles =
        format!("create role {reader} in role pgq_reader; create role {unrelated}; set role {reader}");
    client.batch_execute(&roles).expect("created");
    assert_eq!(register(&mut client, "a"), 1);
    client.batch_execute("reset role").expect("reset");
    fill(&mut client, 1, 1);
    client.batch_execute(&format!("set role {reader}")).expect("set");
    let batch = next_batch(&mut client, "a").expect("a batch");
    assert_eq!(finish(&mut client, batch), 1);
    client.batch_execute(&format!("set role {unrelated}")).expect("set");
    assert!(client.query("select pgq_coop.next_batch('queue', 'consumer', 'a')", &[]).is_err());
    client.batch_execute(&format!("reset role; drop role {reader}, {unrelated}")).expect("dropped");
}
