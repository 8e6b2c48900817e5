//! Retried events are redelivered, although some cannot be.

use pgq::schema::Kind;
use postgres::Client;

use super::*;
use crate::support::{Database, queues, templates};

/// Schedules the retry of an event of a queue, due at once.
pub(super) fn schedule_retry(client: &mut Client, queue: &str) {
    client.execute("select pgq.register_consumer($1, 'reader')", &[&queue]).expect("registered");
    queues::insert(client, queue, 0, 1);
    client.execute("select pgq.force_tick($1), pgq.ticker($1)", &[&queue]).expect("ticked");
    let mut batch: Option<i64> = None;
    wait_for("the event", || {
        batch = client.query_one("select pgq.next_batch($1, 'reader')", &[&queue]).expect("answers").get(0);
        let Some(batch) = batch else { return false };
        let count = "select count(*) from pgq.get_batch_events($1)";
        let found: i64 = client.query_one(count, &[&batch]).expect("readable").get(0);
        if found == 0 {
            client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        }
        found > 0
    });
    let retry = "select pgq.event_retry($1, ev_id, 0) from pgq.get_batch_events($1)";
    client.execute(retry, &[&batch]).expect("scheduled");
    client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
}

/// Returns how many events of a queue wait for their retry.
fn pending_retries(client: &mut Client, queue: &str) -> i64 {
    let select = "select count(*) from pgq.retry_queue join pgq.queue on queue_id = ev_queue \
                  where queue_name = $1";
    client.query_one(select, &[&queue]).expect("readable").get(0)
}

/// Waits until the events of a queue were redelivered.
#[track_caller]
pub(super) fn wait_for_return(client: &mut Client, queue: &str) {
    wait_for("the redelivery", || pending_retries(client, queue) == 0);
}

fn database(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "retries");
    for queue in ["disabled", "locked", "well"] {
        create_eager(&mut client, queue);
        schedule_retry(&mut client, queue);
    }
    disable(&mut client, true);
    (database, client)
}

fn disable(client: &mut Client, disable: bool) {
    let update = "update pgq.queue set queue_disable_insert = $1 where queue_name = 'disabled'";
    client.execute(update, &[&disable]).expect("set");
}

#[test]
fn a_queue_that_takes_none_does_not_keep_those_of_others() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = database(kind);
        let mut holder = database.client();
        let mut hold = holder.transaction().expect("begin");
        let table: String =
            hold.query_one("select pgq.current_event_table('locked')", &[]).expect("there").get(0);
        hold.batch_execute(&format!("lock table {table}")).expect("locked");

        let job = Job::new(&database.conninfo(), "");
        let _ticker = job.start();
        wait_for_return(&mut client, "well");
        job.wait_for(
            "cannot put retry events back (queue `disabled`): ERROR XX000: Insert into queue disallowed",
        );
        assert_eq!(["disabled", "locked"].map(|queue| pending_retries(&mut client, queue)), [1, 1]);

        hold.rollback().expect("rolled back");
        wait_for_return(&mut client, "locked");
        disable(&mut client, false);
        wait_for_return(&mut client, "disabled");
    }
}

#[test]
fn retried_events_are_returned_unchanged() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = database(kind);
        let subscription = "select sub_id from pgq.subscription join pgq.queue on queue_id = sub_queue \
                            where queue_name = 'well'";
        let owner: i32 = client.query_one(subscription, &[]).expect("registered").get(0);
        let select = "select ev_id, ev_time::text, ev_owner, ev_retry, ev_type, ev_data, ev_extra1 from ";
        let before = client.query_one(&format!("{select} pgq.retry_queue where ev_owner = $1"), &[&owner]);
        let error = pgq::ticker::retry_events(&mut client).expect_err("one is disabled");
        assert_eq!(error.queue(), Some("disabled"));
        let table: String =
            client.query_one("select pgq.current_event_table('well')", &[]).expect("there").get(0);
        let after = client.query_one(&format!("{select} {table} where ev_owner = $1"), &[&owner]);
        let shown = |row: Result<postgres::Row, postgres::Error>| {
            let row = row.expect("it is there");
            (
                (row.get::<_, i64>(0), row.get::<_, String>(1), row.get::<_, i32>(2), row.get::<_, i32>(3)),
                [4, 5, 6].map(|column| row.get::<_, Option<String>>(column)),
            )
        };
        assert_eq!(shown(before), shown(after));
    }
}

/// Inserts retry events of a queue that are due.
fn insert_retries(client: &mut Client, count: i64) {
    client
        .execute(
            "insert into pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_time) \
             select sub_queue, sub_id, n, now(), now() from pgq.subscription, generate_series(1, $1::bigint) n",
            &[&count],
        )
        .expect("inserted");
}

#[test]
fn a_queue_with_a_limit_for_each_transaction_gets_as_many_at_once() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = templates::installed(kind, "retries");
        create_eager(&mut client, "few");
        client
            .batch_execute(
                "select pgq.register_consumer('few', 'reader'); update pgq.queue set queue_per_tx_limit = 3",
            )
            .expect("prepared");
        insert_retries(&mut client, 7);
        assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 7, "{kind}");
        assert_eq!(pending_retries(&mut client, "few"), 0, "{kind}");
        if kind == Kind::Own {
            insert_retries(&mut client, 7);
            let mut returned = || -> i32 {
                client.query_one("select pgq.maint_retry_events()", &[]).expect("returned").get(0)
            };
            assert_eq!([returned(), returned(), returned(), returned()], [3, 3, 1, 0]);
        }
    }
}
