//! In which memory the server sorts a batch.

use super::*;
use crate::support::server::Server;

/// More than the server sorts in memory by default, all in all.
const MANY: i32 = 40_000;

fn server() -> (Server, Client) {
    let server = Server::builder().setting("log_temp_files", "0").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    server.create_database("sorting");
    let mut client = server.client("sorting");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    (server, client)
}

fn insert(client: &mut Client, count: i32) {
    let data = "x".repeat(150);
    let insert = "select count(pgq.insert_event($1, 'type', $2)) from generate_series(1, $3)";
    client.query_one(insert, &[&QUEUE, &data, &count]).expect("inserted");
    queues::tick(client, QUEUE);
}

fn work_mem(batch: &mut Batch<'_>) -> String {
    batch.db().expect("a transaction is open").query_one("show work_mem", &[]).expect("readable").get(0)
}

#[test]
fn many_events_are_not_sorted_on_disk() {
    let (server, mut client) = server();
    let subscription = subscribe(&mut client, |_| ());
    insert(&mut client, MANY);
    let temporary_files = || server.log().matches("temporary file").count();

    let mut batch = open(&mut client, &subscription);
    assert_eq!(read(&mut batch).len() as i32, MANY);
    batch.finish().expect("finished");
    assert_eq!(temporary_files(), 0);

    insert(&mut client, MANY);
    let info = subscription.next_batch(&mut client).expect("the server answers").expect("there is a batch");
    let query: String = client.query_one("select pgq.batch_event_sql($1)", &[&info.id]).expect("open").get(0);
    client.batch_execute(&format!("copy ({query}) to '/dev/null'")).expect("readable");
    assert_ne!(temporary_files(), 0, "so much does not fit by default");
}

#[test]
fn handlers_have_the_memory_that_they_had() {
    let (_server, mut client) = server();
    let subscription = subscribe(&mut client, |_| ());
    for (own, count) in [("4MB", MANY), ("1MB", MANY), ("64MB", MANY), ("1MB", 10)] {
        client.batch_execute(&format!("set work_mem = '{own}'")).expect("set");
        insert(&mut client, count);
        let mut batch = open(&mut client, &subscription);
        batch.next_event().expect("readable").expect("there is one");
        assert_eq!(work_mem(&mut batch), own, "{count} events");
        batch.finish().expect("finished");
        let after: String = client.query_one("show work_mem", &[]).expect("readable").get(0);
        assert_eq!(after, own, "{count} events");
    }
}
