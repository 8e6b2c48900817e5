//! queue_mover and the queue that it writes to: kept ids, and a target that cannot take the events.

use std::collections::BTreeSet;
use std::fs;

use postgres::Client;

use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, errors, succeed};
use crate::support::{queues, unique, wait_for};

const KEEP: &str = "keep_event_ids = 1\n";

fn ids(client: &mut Client, queue: &str) -> Vec<i64> {
    let table: String = client
        .query_one("select queue_data_pfx from pgq.queue where queue_name = $1", &[&queue])
        .expect("the queue is there")
        .get(0);
    let rows = client.query(&format!("select ev_id from {table} order by ev_id"), &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

fn insert_and_tick(pair: &Pair, first: i64, count: i64) {
    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, first, count);
    queues::tick(&mut source, SOURCE_QUEUE);
}

/// Ticks as a ticker does, not by force; returns the tick, if one was due.
fn ticker(client: &mut Client, queue: &str) -> Option<i64> {
    client.query_one("select pgq.ticker($1)", &[&queue]).expect("ticked").get(0)
}

#[test]
fn events_keep_their_ids_and_the_targets_ticker_sees_them() {
    let pair = Pair::create();
    pair.write_ini(KEEP);
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    // Ids that the target's own sequence is far from.
    source
        .execute(
            "select setval(queue_event_seq::regclass, 1000000) from pgq.queue where queue_name = $1",
            &[&SOURCE_QUEUE],
        )
        .expect("moved");
    queues::tick(&mut source, SOURCE_QUEUE);
    pair.register();
    for round in 0..3 {
        insert_and_tick(&pair, round * 600, 600);
        pair.drain();
        assert!(ticker(&mut target, TARGET_QUEUE).is_some(), "more events than a batch has to have");
    }
    pair.assert_moved();
    let moved = ids(&mut target, TARGET_QUEUE);
    assert!(moved == ids(&mut source, SOURCE_QUEUE), "{:?}", moved.first());
    let next = pgq::insert_event(&mut target, TARGET_QUEUE, "own", "1").expect("inserted");
    assert!(Some(&next) > moved.last(), "{next}");
}

#[test]
fn ids_below_the_targets_own_are_kept_too_and_seen() {
    let pair = Pair::create();
    pair.write_ini(KEEP);
    let mut target = pair.target_client();
    queues::insert(&mut target, TARGET_QUEUE, 0, 5000);
    queues::tick(&mut target, TARGET_QUEUE);
    pair.register();
    insert_and_tick(&pair, 0, 600);
    pair.drain();
    assert!(ticker(&mut target, TARGET_QUEUE).is_some(), "the ticker sees them");
    let own: BTreeSet<i64> = ids(&mut pair.source_client(), SOURCE_QUEUE).into_iter().collect();
    let there: BTreeSet<i64> = ids(&mut target, TARGET_QUEUE).into_iter().collect();
    assert!(own.is_subset(&there));
}

#[test]
fn movers_that_keep_ids_may_share_a_queue() {
    let (first, second) = (Pair::create(), Pair::create());
    first.write_ini(KEEP);
    second.write_ini(KEEP);
    let ini = fs::read_to_string(second.folder.path().join("mover.ini")).expect("the file is there");
    let ini = ini.replace(&second.target, &first.target).replace(JOB, "second_mover");
    fs::write(second.folder.path().join("mover.ini"), ini).expect("writable");
    let pairs = [&first, &second];
    let movers = pairs.map(|pair| {
        pair.register();
        Running::start(&mut pair.mover(&[]))
    });
    for round in 0..10 {
        pairs.iter().for_each(|pair| insert_and_tick(pair, round * 50, 50));
    }
    let mut target = first.target_client();
    wait_for("1000 events", || queues::count(&mut target, TARGET_QUEUE) >= 1000);
    drop(movers);
    let mut expected = pairs.map(|pair| ids(&mut pair.source_client(), SOURCE_QUEUE)).concat();
    expected.sort_unstable();
    assert!(ids(&mut target, TARGET_QUEUE) == expected, "the same ids");
    let next = pgq::insert_event(&mut target, TARGET_QUEUE, "own", "1").expect("inserted");
    assert!(Some(&next) > expected.last(), "{next}");
}

/// Runs a mover on a target in trouble, sees its complaint, and that all arrives once the trouble is over.
#[track_caller]
fn check(trouble: &str, relief: &str, complaint: &str) {
    let pair = Pair::create();
    pair.register();
    let mut target = pair.target_client();
    target.batch_execute(trouble).expect("done");
    insert_and_tick(&pair, 0, 100);
    let mover = Running::start(&mut pair.mover(&[]));
    wait_for("a complaint", || pair.log().contains(complaint));
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0, "{trouble}");
    target.batch_execute(relief).expect("done");
    wait_for("the events", || queues::count(&mut target, TARGET_QUEUE) == 100);
    drop(mover);
    pair.assert_moved();
}

#[test]
fn a_target_that_is_disabled_is_waited_for() {
    check(
        "update pgq.queue set queue_disable_insert = true",
        "update pgq.queue set queue_disable_insert = false",
        "cannot write to the",
    );
}

#[test]
fn a_target_that_is_full_is_waited_for() {
    // Simulates a full disk: the server refuses to extend the table.
    check(
        "create function no_space() returns trigger language plpgsql as $$ begin raise exception \
             using errcode = 'disk_full', message = 'could not extend file: No space left on device'; end $$; \
         do $$ begin execute format('create trigger full_disk before insert on %s for each row \
             execute function no_space()', (select pgq.current_event_table('copy_of_eventlog'))); end $$",
        "drop function no_space() cascade",
        "53100: could not extend file: No space left on device",
    );
}

#[test]
fn a_dropped_target_queue_is_reported_and_loses_nothing() {
    let pair = Pair::create();
    pair.register();
    let mut target = pair.target_client();
    let mover = Running::start(&mut pair.mover(&[]));
    insert_and_tick(&pair, 0, 10);
    wait_for("the first events", || queues::count(&mut target, TARGET_QUEUE) == 10);
    pgq::admin::drop_queue(&mut target, TARGET_QUEUE, pgq::admin::DropMode::Force).expect("dropped");
    insert_and_tick(&pair, 10, 10);
    wait_for("a complaint", || pair.log().contains("queue `copy_of_eventlog` does not exist"));
    queues::create(&mut target, TARGET_QUEUE);
    wait_for("the other events", || queues::count(&mut target, TARGET_QUEUE) == 10);
    drop(mover);
}

#[test]
fn a_target_queue_that_is_missing_ends_the_start() {
    let pair = Pair::create();
    let mut missing = pair.mover(&["--set", "dst_queue_name=nowhere"]);
    let output = missing.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("queue `nowhere` does not exist"), "{}", errors(&output));
    succeed(&mut pair.mover(&["--register"]));
}

#[test]
fn the_error_of_a_missing_right_contains_the_grants() {
    let pair = Pair::create();
    pair.register();
    insert_and_tick(&pair, 0, 10);
    let role = format!("mover_{}", unique());
    let mut target = pair.target_client();
    target
        .batch_execute(&format!("create role {role} login in role pgq_reader, pgq_writer"))
        .expect("created");
    let mut mover = pair.mover(&["--set", "loop_delay=0"]);
    let refused = mover.env("PGUSER", &role).output().expect("it starts");
    let error = errors(&refused);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    let before = format!("role `{role}` may not insert into the queue's tables; run `");
    let (_, grants) = error.split_once(&before).unwrap_or_else(|| panic!("{error}"));
    let (grants, _) = grants.split_once('`').expect("the end");
    target.batch_execute(grants).expect("granted");
    succeed(&mut mover);
    pair.assert_moved();
    target.batch_execute(&format!("drop owned by {role}; drop role {role}")).expect("dropped");
}
