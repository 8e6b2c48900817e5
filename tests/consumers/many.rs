//! Tags of a great many events.

use super::*;
use crate::support::amount::pick;
use crate::support::server::Server;

/// Returns a server that logs every statement, and a database with a queue.
fn logging_server() -> (Server, Client) {
    let builder =
        Server::builder().setting("log_statement", "all").setting("log_parameter_max_length", "100");
    let server = builder.start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    server.create_database("many");
    let mut client = server.client("many");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, QUEUE);
    (server, client)
}

/// Returns how many statements of the log hold a text.
fn statements(server: &Server, text: &str) -> usize {
    server.log().lines().filter(|line| line.contains("execute ") && line.contains(text)).count()
}

#[test]
fn many_tags_are_one_statement_and_long_reasons_are_sent_in_between() {
    let many = pick(2_000, 100_000);
    let half = u64::try_from(many / 2).expect("small");
    let (server, mut client) = logging_server();
    let subscription = subscribe(&mut client, |_| ());
    fill(&mut client, many);
    let mut consumer = handler(|event, _| match number(event) % 2 {
        0 => Ok(Outcome::Retry(Duration::ZERO)),
        _ => Ok(Outcome::Failed("no".to_owned())),
    });
    let before = statements(&server, "");
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(statements(&server, "select pgq.event_retry_many("), 1);
    assert_eq!(statements(&server, "select pgq.event_failed_many("), 1);
    let pages = statements(&server, "order by ev_id");
    assert!(statements(&server, "") - before < pages + 10, "{}", server.log());
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), half);
    assert_eq!(return_retries(&mut client), half);
    assert_eq!(take(&mut client, &subscription).len() as u64, half);

    fill(&mut client, 40);
    let mut consumer = handler(|_, _| Ok(Outcome::Failed("x".repeat(1 << 20))));
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(statements(&server, "select pgq.event_failed_many("), 4);
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), half + 40);
}

#[test]
fn without_a_transaction_long_reasons_are_sent_in_between_too() {
    let (server, mut client) = logging_server();
    let subscription = subscribe(&mut client, |settings| settings.autocommit = true);
    fill(&mut client, 40);
    let mut crashed = false;
    for _ in 0..2 {
        let mut consumer = handler(|event, batch| {
            assert!(batch.client().is_ok());
            if number(event) == 20 && !std::mem::replace(&mut crashed, true) {
                return Err("what was sent stays, and is sent again".into());
            }
            Ok(Outcome::Failed("x".repeat(1 << 20)))
        });
        let _ = deliver(&mut client, &subscription, &mut consumer);
    }
    assert_eq!(statements(&server, "select pgq.event_failed_many("), 4);
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 40);
}

#[test]
fn a_policy_costs_no_statement_where_handlers_do_not_touch_the_database() {
    let (server, mut client) = logging_server();
    let subscription = subscribe(&mut client, |settings| {
        settings.retry_policy = Some(pgq::RetryPolicy::fixed(Duration::ZERO));
    });
    fill(&mut client, 100);
    let mut consumer = handler(|event, _| match number(event) % 10 {
        0 => Err("no".into()),
        _ => Ok(Outcome::Done),
    });
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(server.log().matches("savepoint pgq_event").count(), 0);
    assert_eq!(return_retries(&mut client), 10);
}
