//! The target's tables are rotated between the answer which of them takes the events and the events.

use std::thread;

use pgq::schema::Kind;
use pgq::{Batch, BulkInsert, NewEvent, Settings, Subscription};
use postgres::Client;

use super::{CONSUMER, KINDS, QUEUE, database, make_queue, read, rotate, tick_and_read};
use crate::support::programs::{Running, command};
use crate::support::server::Server;
use crate::support::{Database, queues, templates, wait_for};

#[test]
fn events_that_are_written_behind_a_rotation_are_read() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut writer = database.client();
        let mut transaction = writer.transaction().expect("begun");
        let mut bulk = BulkInsert::start(&mut transaction, QUEUE).expect("started");
        rotate(&mut client, QUEUE);
        bulk.write(&NewEvent::new("late", "event")).expect("written");
        bulk.finish().expect("finished");
        transaction.commit().expect("committed");
        assert_eq!(tick_and_read(&mut client, QUEUE), ["event"], "{kind:?}");
    }
}

#[tokio::test]
async fn events_that_are_written_behind_a_rotation_are_read_awaiting() {
    for kind in KINDS {
        let made = tokio::task::spawn_blocking(move || database(kind)).await;
        let (database, mut client) = made.expect("made");
        let (mut writer, connection) =
            tokio_postgres::connect(&database.conninfo(), tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        let transaction = writer.transaction().await.expect("begun");
        let mut bulk = pgq::tokio::BulkInsert::start(&transaction, QUEUE).await.expect("started");
        let rotated = tokio::task::spawn_blocking(move || {
            rotate(&mut client, QUEUE);
            client
        });
        let mut client = rotated.await.expect("rotated");
        bulk.write(&NewEvent::new("late", "event")).await.expect("written");
        bulk.finish().await.expect("finished");
        transaction.commit().await.expect("committed");
        let seen = tokio::task::spawn_blocking(move || {
            let seen = tick_and_read(&mut client, QUEUE);
            drop((client, database));
            seen
        });
        assert_eq!(seen.await.expect("read"), ["event"], "{kind:?}");
    }
}

/// The id would not be first if the function took the statement's snapshot.
#[test]
fn the_function_that_names_the_table_has_a_snapshot_of_its_own() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let row = client
            .query_one(
                "select provolatile = 'v', lanname in ('plpgsql', 'c') \
                 from pg_proc join pg_language on pg_language.oid = prolang \
                 where pg_proc.oid = 'pgq.current_event_table(text)'::regprocedure",
                &[],
            )
            .expect("it is there");
        assert_eq!((row.get(0), row.get(1)), (true, true), "{kind:?}");
    }
}

/// A mover from a server of its own, so that nothing there holds up a rotation of the target.
struct Mover {
    source: Server,
    target: Database,
    folder: tempfile::TempDir,
}

impl Mover {
    fn create(kind: Kind, more: &str) -> (Mover, Client, Client) {
        let source = Server::start().unwrap_or_else(|error| panic!("{error}"));
        let mut from = source.client("postgres");
        queues::install_as(&mut from, Kind::Own);
        make_queue(&mut from, QUEUE);
        let (target, mut to) = templates::installed_whole(kind, "copying");
        make_queue(&mut to, QUEUE);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!(
            "[queue_mover]\njob_name = consumer\nsrc_db = {}\ndst_db = {}\npgq_queue_name = {QUEUE}\n\
             dst_queue_name = {QUEUE}\nlogfile = log\nloop_delay = 0.01\nexception_sleep = 0.01\n{more}",
            source.conninfo("postgres"),
            target.conninfo(),
        );
        std::fs::write(folder.path().join("mover.ini"), ini).expect("the folder is writable");
        (Mover { source, target, folder }, from, to)
    }

    fn start(&self) -> Running {
        Running::start(command("queue_mover", self.folder.path()).arg("mover.ini"))
    }
}

#[test]
fn a_mover_requests_the_table_when_the_source_is_ready() {
    for (kind, more) in [(Kind::Extension, ""), (Kind::Own, ""), (Kind::Extension, "keep_event_ids = 1\n")] {
        let (mover, mut from, mut to) = Mover::create(kind, more);
        let mut holder = mover.source.client("postgres");
        queues::insert(&mut from, QUEUE, 0, 100);
        queues::tick(&mut from, QUEUE);
        holder.batch_execute("begin; lock table pgq.event_1_0 in access exclusive mode").expect("locked");
        let _running = mover.start();
        wait_for("the mover to read", || {
            let waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' \
                         and query like 'copy (%')";
            from.query_one(waits, &[]).expect("readable").get(0)
        });
        rotate(&mut to, QUEUE);
        holder.batch_execute("rollback").expect("unlocked");
        wait_for("the events to be moved", || queues::count(&mut to, QUEUE) == 100);
        let mut seen = Vec::new();
        wait_for("the source to be finished", || {
            seen.extend(tick_and_read(&mut to, QUEUE));
            queues::position(&mut from, QUEUE, "consumer").1.is_none()
        });
        seen.extend(read(&mut to, QUEUE));
        assert_eq!(seen.len(), 100, "{kind:?} {more}");
        drop(mover.target);
    }
}

/// The table is requested and written to in one transaction, also if the caller has none.
#[test]
fn a_copy_into_a_connection_is_a_transaction() {
    for kind in KINDS {
        let (mover, mut from, mut to) = Mover::create(kind, "");
        queues::insert(&mut from, QUEUE, 0, 100);
        queues::tick(&mut from, QUEUE);
        let table: String =
            to.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("there").get(0);
        let mut holder = mover.target.client();
        holder.batch_execute(&format!("begin; lock table {table} in share mode")).expect("locked");
        let mut writer = mover.target.client();
        let copying = thread::spawn(move || {
            let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
            let info = subscription.next_batch(&mut from).expect("the server answers").expect("a batch");
            let mut batch = Batch::open(&mut from, &subscription, info).expect("opened");
            let copied = batch.copy_to(&mut writer, QUEUE).expect("copied");
            batch.finish().expect("finished");
            copied
        });
        wait_for("the copy to wait", || {
            let waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' \
                         and datname = current_database() and query like 'copy %')";
            to.query_one(waits, &[]).expect("readable").get(0)
        });
        rotate(&mut to, QUEUE);
        holder.batch_execute("rollback").expect("unlocked");
        assert_eq!(copying.join().expect("no panic"), 100);
        assert_eq!(tick_and_read(&mut to, QUEUE).len(), 100, "{kind:?}");
    }
}
