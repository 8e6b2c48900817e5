//! Two concurrent sessions, of which one has to wait for the other.

use std::thread;

use pgq::schema::Kind;
use postgres::Client;

use crate::support::{queues, templates, wait_for};

/// Rotates a queue's tables, and waits until that has happened.
pub(super) fn rotate(client: &mut Client, queue: &str) {
    let table = "select queue_cur_table from pgq.queue where queue_name = $1";
    let current = |client: &mut Client| -> i32 { client.query_one(table, &[&queue]).expect("there").get(0) };
    let before = current(client);
    wait_for("the rotation", || {
        client.execute("select pgq.maint_rotate_tables_step1($1)", &[&queue]).expect("step 1");
        current(client) != before
    });
    client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
}

#[test]
fn two_sessions_that_open_a_batch_at_once_get_the_same() {
    assert_eq!(orphaned(Kind::Own), 0);
}

/// The extension gives each of them one, and forgets the first.
#[test]
fn the_extension_gives_two_sessions_two_batches() {
    assert!(orphaned(Kind::Extension) > 0);
}

/// Opens batches in two sessions concurrently, many times; returns how many batches could not be finished.
fn orphaned(kind: Kind) -> usize {
    let (database, mut client) = templates::installed(kind, "own");
    queues::create(&mut client, "q");
    client.batch_execute("select pgq.register_consumer('q', 'c')").expect("registered");
    let mut orphaned = 0;
    for _ in 0..50 {
        queues::tick(&mut client, "q");
        let open = || -> i64 {
            let mut client = database.client();
            client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("opened").get(0)
        };
        client.batch_execute("begin; select 1 from pgq.subscription for update").expect("locked");
        let batches = thread::scope(|scope| {
            let threads = [scope.spawn(open), scope.spawn(open)];
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            let mut watcher = database.client();
            wait_for("both to wait", || {
                watcher.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 2
            });
            client.batch_execute("commit").expect("released");
            threads.map(|thread| thread.join().expect("a batch"))
        });
        let finish = "select pgq.finish_batch($1)";
        let mut finish = |batch: i64| client.query_one(finish, &[&batch]).expect("answers").get::<_, i32>(0);
        let distinct = if batches[0] == batches[1] { &batches[..1] } else { &batches[..] };
        orphaned += distinct.iter().filter(|batch| finish(**batch) == 0).count();
    }
    orphaned
}

#[test]
fn a_consumer_that_registers_while_the_tables_rotate_keeps_its_tick() {
    let (database, mut client) = templates::installed(Kind::Own, "own");
    queues::create(&mut client, "q");
    client.batch_execute("update pgq.queue set queue_rotation_period = '0'").expect("set");
    let mut registering = database.client();
    registering.batch_execute("begin; select pgq.register_consumer('q', 'c')").expect("registered");
    thread::scope(|scope| {
        let rotation =
            scope.spawn(|| database.client().batch_execute("select pgq.maint_rotate_tables_step1('q')"));
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        wait_for("the rotation to wait", || {
            client.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 1
        });
        registering.batch_execute("commit").expect("committed");
        rotation.join().expect("no panic").expect("rotated or not");
    });
    queues::tick(&mut client, "q");
    client.batch_execute("select pgq.finish_batch(pgq.next_batch('q', 'c'))").expect("its tick is there");
}
