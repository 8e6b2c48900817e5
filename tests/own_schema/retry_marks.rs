//! A search for due retry events does not visit the delivered ones, and finds every other one.

use postgres::Client;

use crate::support::{Database, queues};
use pgq::schema::Kind;

/// Returns a database with a batch of ten events that is open, and no due retry events.
fn prepare() -> (Database, Client) {
    let database = Database::create("retry_marks");
    let mut client = database.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    queues::each(
        &mut client,
        &[
            "select pgq.register_consumer('q', 'c')",
            "select pgq.insert_event('q', 'a', n::text) from generate_series(1, 10) n",
            "select pgq.ticker('q')",
            "select pgq.next_batch('q', 'c')",
        ],
    );
    (database, client)
}

fn retry(client: &mut Client, event: i64, seconds: i32) {
    client.execute("select pgq.event_retry(1, $1, $2)", &[&event, &seconds]).expect("tagged");
}

/// Returns the due events to the queue; returns how many.
fn deliver(client: &mut Client) -> i32 {
    client.query_one("select pgq.maint_retry_events()", &[]).expect("delivered").get(0)
}

/// Delivers an event, so that a mark says that none is left.
fn mark(client: &mut Client) {
    retry(client, 1, 0);
    assert_eq!(deliver(client), 1);
    assert_eq!(deliver(client), 0);
}

fn marked_time(client: &mut Client) -> String {
    client.query_one("select mark_time::text from pgq._last_retry_mark()", &[]).expect("a mark").get(0)
}

#[test]
fn an_event_of_a_transaction_that_is_committed_late_is_found() {
    let (database, mut client) = prepare();
    let mut late = database.client();
    late.batch_execute("begin").expect("begun");
    retry(&mut late, 2, 0);
    mark(&mut client);
    assert_eq!(marked_time(&mut client), "infinity");
    late.batch_execute("commit").expect("committed");
    assert_eq!(deliver(&mut client), 1);
}

/// A snapshot does not list its own transaction as running.
#[test]
fn an_event_of_the_transaction_that_made_the_mark_is_found() {
    let (_database, mut client) = prepare();
    client.batch_execute("begin").expect("begun");
    mark(&mut client);
    retry(&mut client, 2, 0);
    client.batch_execute("commit").expect("committed");
    assert_eq!(deliver(&mut client), 1);
}

#[test]
fn a_mark_of_a_transaction_that_is_rolled_back_does_not_count() {
    let (_database, mut client) = prepare();
    retry(&mut client, 2, 0);
    client.batch_execute("begin").expect("begun");
    assert_eq!(deliver(&mut client), 1);
    client.batch_execute("rollback").expect("rolled back");
    assert_eq!(deliver(&mut client), 1);
}

#[test]
fn an_event_before_the_mark_is_found_after_a_change_by_hand() {
    let (_database, mut client) = prepare();
    retry(&mut client, 2, 3600);
    retry(&mut client, 3, 7200);
    mark(&mut client);
    assert_ne!(marked_time(&mut client), "infinity");
    client
        .batch_execute("update pgq.retry_queue set ev_retry_after = now() where ev_id = 3")
        .expect("changed");
    assert_eq!(deliver(&mut client), 1);
    client
        .batch_execute(
            "create temp table saved as select * from pgq.retry_queue; delete from pgq.retry_queue; \
             update saved set ev_retry_after = now()",
        )
        .expect("saved");
    assert_eq!(deliver(&mut client), 0);
    client.batch_execute("insert into pgq.retry_queue select * from saved").expect("put back");
    assert_eq!(deliver(&mut client), 1);
}

/// An old mark is as true as it was.
#[test]
fn events_are_found_whatever_the_clock_says() {
    let (_database, mut client) = prepare();
    retry(&mut client, 2, 3600);
    mark(&mut client);
    retry(&mut client, 3, 1800);
    assert_eq!(deliver(&mut client), 0);
    client.query_one("select pgq._mark_retries(false)::text", &[]).expect("marked");
    client
        .batch_execute("update pgq.retry_queue set ev_retry_after = ev_retry_after - interval '1 hour'")
        .expect("later");
    assert_eq!(deliver(&mut client), 2);
}

/// A restored mark is about transactions of another server.
#[test]
fn a_mark_that_was_copied_does_not_count() {
    let (_database, mut client) = prepare();
    mark(&mut client);
    assert_eq!(marked_time(&mut client), "infinity");
    client
        .batch_execute("create temp table saved as select * from pgq.retry_mark; delete from pgq.retry_mark; insert into pgq.retry_mark select * from saved")
        .expect("copied");
    assert_eq!(marked_time(&mut client), "-infinity");
    retry(&mut client, 2, 0);
    assert_eq!(deliver(&mut client), 1);
    assert_eq!(marked_time(&mut client), "infinity");
}

#[test]
fn more_late_events_than_one_call_returns_are_all_found() {
    let (database, mut client) = prepare();
    let mut late = database.client();
    late.batch_execute("begin").expect("begun");
    late.batch_execute("select pgq.event_retry(1, n, 0) from generate_series(2, 10) n").expect("tagged");
    mark(&mut client);
    late.batch_execute("commit").expect("committed");
    client
        .batch_execute(
            "insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_time) \
             select 1, 1, n, now(), now() from generate_series(11, 40) n",
        )
        .expect("tagged");
    let delivered: Vec<i32> = (0..5).map(|_| deliver(&mut client)).collect();
    assert_eq!(delivered, [10, 10, 10, 9, 0]);
}

/// Restored events have transaction ids of another server.
#[test]
fn an_event_with_an_id_that_the_server_has_not_reached_is_found_and_makes_no_mark() {
    let (_database, mut client) = prepare();
    mark(&mut client);
    queues::each(
        &mut client,
        &[
            "set session_replication_role = replica",
            "insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_time, ev_txid) \
             select 1, 1, n, now() + n * interval '1 hour', now(), txid_current() + 1000000 from generate_series(1, 2) n",
            "reset session_replication_role",
            "select pgq._mark_retries(false)",
        ],
    );
    let number = |client: &mut Client| -> i64 {
        client.query_one("select max(mark_no) from pgq.retry_mark", &[]).expect("a number").get(0)
    };
    let marked = number(&mut client);
    client.query_one("select pgq._mark_retries(false)::text", &[]).expect("answers");
    assert_eq!(number(&mut client), marked);
    queues::each(
        &mut client,
        &[
            "set session_replication_role = replica",
            "update pgq.retry_queue set ev_retry_after = now() where ev_id = 2",
            "reset session_replication_role",
        ],
    );
    assert_eq!(deliver(&mut client), 1);
}

/// The ids of the server were set back, as `pg_resetwal` does: the mark has ids that the server has not reached.
#[test]
fn a_mark_with_ids_that_the_server_has_not_reached_does_not_count() {
    let (_database, mut client) = prepare();
    mark(&mut client);
    let later = "insert into pgq.retry_mark (mark_no, mark_time, mark_snapshot, mark_txid) \
         select 1000, 'infinity', format('%s:%s:', id, id)::txid_snapshot, id from (select txid_current() + (1::bigint << 32)) later (id)";
    client.batch_execute(later).expect("inserted");
    assert_eq!(marked_time(&mut client), "-infinity");
    retry(&mut client, 2, 0);
    assert_eq!(deliver(&mut client), 1);
    assert_eq!(marked_time(&mut client), "infinity");
}
