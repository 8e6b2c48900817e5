//! The commit of a copy waits for the target's disk, since the source forgets the events right after it.

use pgq::{Batch, BulkInsert, NewEvent, Settings, Subscription};
use postgres::{Client, Transaction};

use super::{CONSUMER, KINDS, QUEUE, database};
use crate::support::server::Server;
use crate::support::{queues, templates};

/// Reads a batch, passes it to `copy` with a transaction of the target, commits there, then finishes it.
fn relay(
    source: &mut Client,
    target: &mut Client,
    copy: impl FnOnce(&mut Batch<'_>, &mut Transaction<'_>) -> Result<u64, pgq::Error>,
) {
    queues::tick(source, QUEUE);
    let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
    let info = subscription.next_batch(source).expect("answers").expect("a batch");
    let mut batch = Batch::open(source, &subscription, info).expect("opened");
    let mut transaction = target.transaction().expect("begins");
    copy(&mut batch, &mut transaction).expect("copied");
    transaction.commit().expect("committed");
    batch.finish().expect("finished");
}

#[test]
fn copies_of_a_plain_consumer_outlive_a_crash_of_the_target() {
    let (_source, mut source) = database(pgq::schema::Kind::Own);
    let server = Server::builder().setting("wal_writer_delay", "10s").start().expect("started");
    server.create_database("target");
    let mut target = server.client("target");
    queues::install_as(&mut target, pgq::schema::Kind::Own);
    queues::create(&mut target, QUEUE);
    target.batch_execute("alter database target set synchronous_commit = off; checkpoint").expect("set");

    let mut target = server.client("target");
    for round in 0..3 {
        queues::insert(&mut source, QUEUE, round, 1);
        relay(&mut source, &mut target, |batch, target| batch.copy_to(target, QUEUE));
    }
    server.restart_immediate();
    assert_eq!(queues::count(&mut server.client("target"), QUEUE), 3, "finished at the source");
}

/// Records the setting's value when a transaction that has written events commits.
fn watch(client: &mut Client) {
    client
        .batch_execute(
            "create table public.committed (setting text); \
             create function public.committing() returns trigger language plpgsql as $$ begin \
                 insert into public.committed values (current_setting('synchronous_commit')); return null; end $$; \
             do $$ begin for n in 0..2 loop execute format( \
                 'create constraint trigger committing after insert on pgq.event_1_%s deferrable initially deferred \
                  for each row execute function public.committing()', n); end loop; end $$; \
             set synchronous_commit = off",
        )
        .expect("watched");
}

#[test]
fn every_copy_waits_and_a_producer_chooses() {
    for kind in KINDS {
        let (_source, mut source) = database(kind);
        let (_database, mut target) = templates::installed(kind, "copying_target");
        queues::create(&mut target, QUEUE);
        watch(&mut target);
        let settings = |target: &mut Client| -> Vec<String> {
            let rows = target.query("delete from public.committed returning setting", &[]);
            rows.expect("readable").iter().map(|row| row.get(0)).collect()
        };

        queues::insert(&mut source, QUEUE, 0, 1);
        relay(&mut source, &mut target, |batch, target| batch.copy_to(target, QUEUE));
        assert_eq!(settings(&mut target), ["on"], "{kind:?}");
        queues::insert(&mut source, QUEUE, 1, 1);
        relay(&mut source, &mut target, |batch, target| batch.events().copy_with_ids_to(target, QUEUE));
        assert_eq!(settings(&mut target), ["on"], "{kind:?}");

        let mut transaction = target.transaction().expect("begins");
        let mut insert = BulkInsert::start(&mut transaction, QUEUE).expect("started");
        insert.write(&NewEvent::new("type", "data")).expect("written");
        insert.finish().expect("finished");
        transaction.commit().expect("committed");
        assert_eq!(settings(&mut target), ["off"], "{kind:?}");
    }
}
