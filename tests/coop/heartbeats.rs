//! `pgq_coop.touch_subconsumer`.

use super::*;

const LONG_AGO: &str = "update pgq.subscription set sub_active = now() - interval '1 day'";

fn touch(client: &mut Client, subconsumer: &str) -> i32 {
    client
        .query_one("select pgq_coop.touch_subconsumer($1, $2, $3)", &[&QUEUE, &CONSUMER, &subconsumer])
        .expect("answers")
        .get(0)
}

#[test]
fn a_touched_subconsumer_keeps_its_batch() {
    let (_database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 3);
    let batch = next_batch(&mut client, "a").expect("a batch");
    let before = row(&mut client, "consumer.a");
    client.batch_execute(LONG_AGO).expect("updated");
    assert_eq!(touch(&mut client, "a"), 1);
    assert_eq!(row(&mut client, "consumer.a"), before);
    assert_eq!(take_over(&mut client, "b", "1 hour"), None);
    client.batch_execute(LONG_AGO).expect("updated");
    assert_eq!(take_over(&mut client, "b", "1 hour"), Some(batch), "without a touch it is dead");
    assert_eq!(touch(&mut client, "a"), 0, "the takeover has unregistered it");
    assert_eq!(touch(&mut client, "b"), 1);
    assert_eq!(finish(&mut client, batch), 1);
    assert_eq!(touch(&mut client, "b"), 0, "it has no batch");
}

#[test]
fn names_without_a_batch_return_zero_and_change_nothing() {
    let (_database, mut client) = database(&["a"]);
    pgq::admin::register_consumer(&mut client, QUEUE, "plain").expect("registered");
    pgq::admin::register_consumer(&mut client, QUEUE, "plain.a").expect("registered");
    fill(&mut client, 1, 1);
    client.query_one("select pgq.next_batch('queue', 'plain.a')", &[]).expect("opened");
    let all = "select string_agg(s::text, ',' order by s::text) from pgq.subscription s";
    let before: String = client.query_one(all, &[]).expect("readable").get(0);
    for names in [
        "'queue', 'consumer', 'a'",
        "'queue', 'consumer', 'nobody'",
        "'queue', 'consumer', ''",
        "'queue', 'consumer', null",
        "'queue', 'nobody', 'a'",
        "'nowhere', 'consumer', 'a'",
        "'queue', 'plain', 'a'",
    ] {
        let select = format!("select pgq_coop.touch_subconsumer({names})");
        assert_eq!(client.query_one(&select, &[]).expect("answers").get::<_, i32>(0), 0, "{names}");
    }
    assert_eq!(client.query_one(all, &[]).expect("readable").get::<_, String>(0), before);
}

#[test]
fn a_row_that_another_session_has_locked_is_not_waited_for() {
    let (database, mut client) = database(&["a", "b"]);
    fill(&mut client, 1, 1);
    let batch = next_batch(&mut client, "a").expect("a batch");
    client.batch_execute(LONG_AGO).expect("updated");
    let mut other = database.client();
    let mut working = other.transaction().expect("begin");
    working.query_one("select pgq_coop.finish_batch($1)", &[&batch]).expect("finished");
    client.batch_execute("set lock_timeout = '1ms'").expect("set");
    assert_eq!(touch(&mut client, "a"), 1, "it is alive");
    working.rollback().expect("rolled back");
    assert_eq!(take_over(&mut client, "b", "1 hour"), Some(batch), "the row was left as it was");
}

#[test]
fn roles_that_may_open_batches_may_touch() {
    let (database, mut client) = database(&["a"]);
    fill(&mut client, 1, 1);
    next_batch(&mut client, "a").expect("a batch");
    let role = format!("toucher_{}", database.name());
    client.batch_execute(&format!("create role {role}; set role {role}")).expect("created");
    let call = "select pgq_coop.touch_subconsumer('queue', 'consumer', 'a')";
    let refused = client.query_one(call, &[]).expect_err("refused");
    assert_eq!(refused.code().map(|state| state.code()), Some("42501"), "{refused:?}");
    let grant = format!("reset role; grant pgq_reader to {role}; set role {role}");
    client.batch_execute(&grant).expect("granted");
    assert_eq!(client.query_one(call, &[]).expect("answers").get::<_, i32>(0), 1);
}
