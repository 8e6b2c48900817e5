//! The positions of source and target: skipped, lost and repaired ones.

use postgres::Client;

use crate::support::programs::{JOB, Pair, SOURCE_QUEUE, TARGET_QUEUE, errors, succeed};
use crate::support::queues;

fn set_target_tick(client: &mut Client, tick: Option<i64>) {
    pgq_ext::Tracker::new(JOB).set_last_tick(client, tick).expect("recorded");
}

fn target_tick(client: &mut Client) -> Option<i64> {
    pgq_ext::Tracker::new(JOB).last_tick(client).expect("readable")
}

/// Inserts ten events and ticks.
fn batch(source: &mut Client, from: i64) -> i64 {
    queues::insert(source, SOURCE_QUEUE, from, 10);
    queues::tick(source, SOURCE_QUEUE)
}

#[test]
fn a_batch_that_the_target_has_is_skipped_and_finished() {
    let pair = Pair::create();
    pair.write_ini("pgq_merge_events = 0\n");
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let start = queues::position(&mut source, SOURCE_QUEUE, JOB).0;
    let (first, second) = (batch(&mut source, 0), batch(&mut source, 10));
    // The target is at the end of the last batch, so past the end of the first.
    set_target_tick(&mut target, Some(second));
    pair.drain();
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0);
    assert_eq!(queues::position(&mut source, SOURCE_QUEUE, JOB), (second, None));
    assert_eq!(target_tick(&mut target), Some(second));
    let warning = format!("WARNING the target is at tick {second}, past batch 1 of ticks {start}..{first}");
    assert_eq!(pair.log().matches(&warning).count(), 1, "{}", pair.log());
}

#[test]
fn a_tick_that_the_queue_does_not_have_is_a_lost_position() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let last = batch(&mut source, 0);
    // As after a run from another queue, or from another database under the same name.
    set_target_tick(&mut target, Some(last + 100));
    let output = pair.mover(&["--set", "loop_delay=0"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("has lost its position"), "{}", errors(&output));
    assert!(queues::position(&mut source, SOURCE_QUEUE, JOB).1.is_some(), "the batch stays open");
    succeed(&mut pair.mover(&["--reset"]));
    pair.drain();
    pair.assert_moved();
}

#[test]
fn a_lost_position_is_an_error_with_the_numbers_and_rewind_repairs_it() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let first = batch(&mut source, 0);
    pair.drain();
    let second = batch(&mut source, 10);
    // The source claims to be further than the target is.
    pgq::admin::register_consumer_at(&mut source, SOURCE_QUEUE, JOB, second).expect("moved forward");
    let third = batch(&mut source, 20);
    let output = pair.mover(&["--set", "loop_delay=0"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let line = errors(&output);
    let numbers = format!("is ticks {second}..{third}, the target is at tick {first}");
    assert!(line.contains(&numbers) && line.contains("--rewind"), "{line}");
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 10);

    succeed(&mut pair.mover(&["--rewind"]));
    assert_eq!(queues::position(&mut source, SOURCE_QUEUE, JOB), (first, None));
    pair.drain();
    pair.assert_moved();
    assert_eq!(target_tick(&mut target), Some(third));
}

#[test]
fn a_target_amid_the_batch_is_lost_too() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let amid = batch(&mut source, 0);
    batch(&mut source, 10);
    set_target_tick(&mut target, Some(amid));
    let output = pair.mover(&["--set", "loop_delay=0"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("has lost its position"), "{}", errors(&output));
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0);
    succeed(&mut pair.mover(&["--rewind"]));
    pair.drain();
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 10);
}

#[test]
fn rewind_without_a_tick_on_the_target_changes_nothing() {
    let pair = Pair::create();
    pair.register();
    let before = queues::position(&mut pair.source_client(), SOURCE_QUEUE, JOB);
    let output = succeed(&mut pair.mover(&["--rewind"]));
    assert!(errors(&output).contains("WARNING the target has no tick"), "{}", errors(&output));
    assert_eq!(queues::position(&mut pair.source_client(), SOURCE_QUEUE, JOB), before);
}

#[test]
fn reset_forgets_the_targets_tick() {
    let pair = Pair::create();
    let mut target = pair.target_client();
    set_target_tick(&mut target, Some(77));
    succeed(&mut pair.mover(&["--reset"]));
    assert_eq!(target_tick(&mut target), None);
}

#[test]
fn registering_anew_forgets_the_targets_tick() {
    let pair = Pair::create();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    // By the switch, and by the first run.
    for start in [&["--register"][..], &["--set", "loop_delay=-1"]] {
        set_target_tick(&mut target, Some(1_000_000));
        succeed(&mut pair.mover(start));
        assert_eq!(target_tick(&mut target), None, "{start:?}");
        // Once registered, the record stays.
        set_target_tick(&mut target, Some(5));
        succeed(&mut pair.mover(&["--register"]));
        assert_eq!(target_tick(&mut target), Some(5));
        succeed(&mut pair.mover(&["--unregister"]));
        assert_eq!(target_tick(&mut target), None);
        let known =
            source.query("select * from pgq.get_consumer_info($1)", &[&SOURCE_QUEUE]).expect("readable");
        assert!(known.is_empty());
    }
}
