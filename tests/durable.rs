//! Commits on which the finish of a batch relies wait for the disk, also if `synchronous_commit` is off.

use pgq::{Checkpoint, Settings, Subscription};
use pgq_ext::{Error, Tracker};
use postgres::{Client, Transaction};

use crate::support::programs::{JOB, Pair, SOURCE_QUEUE};
use crate::support::{queues, templates};

/// Records the setting's value when a transaction that has written to a table commits.
fn watch(client: &mut Client, table: &str) {
    client
        .batch_execute(&format!(
            "create table if not exists public.committed (setting text); \
             create or replace function public.committing() returns trigger language plpgsql as $$ begin \
                 insert into public.committed values (current_setting('synchronous_commit')); return null; end $$; \
             create constraint trigger committing after insert or update or delete on {table} \
             deferrable initially deferred for each row execute function public.committing()"
        ))
        .expect("watched");
}

/// Returns the recorded values since the last call.
fn settings(client: &mut Client) -> Vec<String> {
    let rows = client.query("delete from public.committed returning setting", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Makes commits not wait for the disk in new sessions of a database.
fn relax(client: &mut Client, database: &str, setting: &str) {
    let alter = format!("alter database {database} set synchronous_commit = {setting}");
    client.batch_execute(&alter).expect("set");
}

#[test]
fn the_movers_commit_waits_for_the_targets_disk() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    relax(&mut target, &pair.target, "off");
    for table in ["pgq.event_1_0", "pgq.event_1_1", "pgq.event_1_2"] {
        watch(&mut target, table);
    }
    queues::insert(&mut source, SOURCE_QUEUE, 0, 1);
    queues::tick(&mut source, SOURCE_QUEUE);
    pair.drain();
    assert_eq!(settings(&mut target), ["on"]);
    relax(&mut target, &pair.target, "local");
    queues::insert(&mut source, SOURCE_QUEUE, 1, 1);
    queues::tick(&mut source, SOURCE_QUEUE);
    pair.drain();
    assert_eq!(settings(&mut target), ["local"], "which waits for this disk");
}

type Recording = fn(&Tracker, &mut Transaction<'_>, &pgq::BatchInfo) -> Result<(), Error>;

const RECORDINGS: [(&str, Recording); 7] = [
    ("set_last_tick", |tracker, dst, batch| tracker.set_last_tick(dst, Some(batch.tick))),
    ("forget the tick", |tracker, dst, _| tracker.set_last_tick(dst, None)),
    ("set_checkpoint", |tracker, dst, batch| tracker.set_checkpoint(dst, &Checkpoint::end_of(batch))),
    ("set_batch_done", |tracker, dst, batch| tracker.set_batch_done(dst, batch.id).map(|_| ())),
    ("set_applied", |tracker, dst, batch| tracker.set_applied(dst, batch)),
    ("set_event_done", |tracker, dst, batch| tracker.set_event_done(dst, batch, 1).map(|_| ())),
    ("forget_batches", |tracker, dst, _| tracker.forget_batches(dst).map(|_| ())),
];

#[test]
fn every_record_waits_for_the_disk() {
    let (_database, mut client) = queues::database("durable", "queue");
    let subscription = Subscription::new(Settings::new("queue", "c"));
    subscription.register(&mut client).expect("registered");
    queues::tick(&mut client, "queue");
    let batch = subscription.next_batch(&mut client).expect("answers").expect("a batch");

    let (_target, mut dst) = templates::recording("durable_dst");
    dst.batch_execute("create table public.effect (n int)").expect("created");
    watch(&mut dst, "public.effect");
    dst.batch_execute("set synchronous_commit = off").expect("set");
    for tracker in [Tracker::new("c"), Tracker::new("c").subconsumer("s")] {
        for (what, record) in RECORDINGS {
            let mut transaction = dst.transaction().expect("begins");
            transaction.batch_execute("insert into public.effect values (1)").expect("written");
            record(&tracker, &mut transaction, &batch).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            transaction.commit().expect("committed");
            assert_eq!(settings(&mut dst), ["on"], "{what}");
        }
    }
    // Consumers of another make call the functions.
    for call in [
        "set_last_tick('p', 1)",
        "set_batch_done('p', 's', 1)",
        "set_event_done('p', 1, 1)",
        "claim_event('q', 'p', 1, now(), 1, now(), now(), 1, 1)",
    ] {
        let run = format!("begin; insert into public.effect values (1); select pgq_ext.{call}; commit");
        dst.batch_execute(&run).expect("recorded");
        assert_eq!(settings(&mut dst), ["on"], "{call}");
    }
    dst.batch_execute("insert into public.effect values (1)").expect("written");
    assert_eq!(settings(&mut dst), ["off"], "what records nothing is left alone");
}

#[test]
fn a_schema_of_another_make_is_no_exception() {
    let (_target, mut dst) = templates::recording("durable_dst");
    dst.batch_execute(
        "create table public.effect (n int); set synchronous_commit = off; \
         create or replace function pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint) returns integer \
         language sql as 'select 1'",
    )
    .expect("as another PgQ's");
    watch(&mut dst, "public.effect");
    let mut transaction = dst.transaction().expect("begins");
    transaction.batch_execute("insert into public.effect values (1)").expect("written");
    Tracker::new("c").set_last_tick(&mut transaction, Some(1)).expect("recorded");
    transaction.commit().expect("committed");
    assert_eq!(settings(&mut dst), ["on"]);
}

#[test]
fn moving_a_consumer_waits_for_the_sources_disk() {
    let (_database, mut client) = queues::database("durable", "queue");
    watch(&mut client, "pgq.subscription");
    client.batch_execute("set synchronous_commit = off").expect("set");
    let tick = queues::tick(&mut client, "queue");
    pgq::admin::register_consumer(&mut client, "queue", JOB).expect("registered");
    assert_eq!(settings(&mut client), ["on"]);
    pgq::admin::register_consumer_at(&mut client, "queue", JOB, tick).expect("moved");
    assert_eq!(settings(&mut client), ["on"]);
    pgq::admin::unregister_consumer(&mut client, "queue", JOB).expect("unregistered");
    assert_eq!(settings(&mut client), ["on"]);
    if client.query_one("select to_regnamespace('pgq_coop') is not null", &[]).expect("readable").get(0) {
        pgq::admin::register_subconsumer(&mut client, "queue", JOB, "s").expect("registered");
        assert!(settings(&mut client).iter().all(|setting| setting == "on"));
    }
}
