//! Consumers whose target records ticks.

use pgq_ext::Tracker;

use super::*;
use crate::support::programs::{JOB, Pair, SOURCE_QUEUE, TARGET_QUEUE, errors, succeed};

/// Runs the mover until it fails, and returns its output.
fn fail(pair: &Pair, switches: &[&str]) -> String {
    let output = pair.mover(&[&["--set", "loop_delay=0"], switches].concat()).output().expect("starts");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// Returns a pair whose mover has reached the last of three ticks, and those ticks.
fn moved() -> (Pair, Client, [i64; 3]) {
    let pair = Pair::create();
    pair.write_ini("pgq_merge_events = 0\n");
    pair.register();
    let mut source = pair.source_client();
    let ticks = [0, 10, 20].map(|from| batch(&mut source, SOURCE_QUEUE, from, 10));
    pair.drain();
    (pair, source, ticks)
}

#[test]
fn a_restored_source_is_a_lost_position_for_good() {
    let (pair, mut source, ticks) = moved();
    let mut target = pair.target_client();
    let times = [ticks[0], ticks[2]].map(|tick| time_of(&mut source, tick));
    restore(&mut source, ticks[0], 100);
    for round in 0..8 {
        let tick = batch(&mut source, SOURCE_QUEUE, 100 + round, 1);
        // Tick by tick and merged, before the number of the target's tick is reached again, at it, and after it.
        let said = fail(&pair, if round % 2 == 0 { &[] } else { &["--set", "pgq_merge_events=1000"] });
        let numbers = format!("is ticks {}..{}, the target is at tick {}", ticks[0], ticks[0] + 1, ticks[2]);
        assert!(said.contains("has lost its position") && said.contains(&numbers), "tick {tick}: {said}");
        assert!(times.iter().all(|time| said.contains(&**time)), "{times:?}: {said}");
        assert!(said.contains("--rewind") && said.contains("--reset"), "{said}");
    }
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 30);
    let said = fail(&pair, &["--rewind"]);
    assert!(said.contains(&times[1]) && said.contains("--reset"), "{said}");
    let (tick, open) = queues::position(&mut source, SOURCE_QUEUE, JOB);
    assert_eq!((tick, open.is_some()), (ticks[0], true));
    succeed(&mut pair.mover(&["--reset"]));
    pair.drain();
    // The events of the restored source after its tick, among them those that the target already had.
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 30 + 20 + 8);
}

#[test]
fn a_reused_number_is_not_the_targets_tick() {
    for (at, moved_to) in [("start", 2), ("end", 1)] {
        let (pair, mut source, ticks) = moved();
        let mut target = pair.target_client();
        restore(&mut source, ticks[0], 100);
        for from in [100, 200, 300] {
            batch(&mut source, SOURCE_QUEUE, from, 1);
        }
        // The target's number is the start of the source's batch, and then its end.
        pgq::admin::register_consumer_at(&mut source, SOURCE_QUEUE, JOB, ticks[moved_to]).expect("moved");
        let said = fail(&pair, &[]);
        assert!(said.contains("has lost its position"), "{at}: {said}");
        assert_eq!(queues::count(&mut target, TARGET_QUEUE), 30, "{at}");
        assert!(queues::position(&mut source, SOURCE_QUEUE, JOB).1.is_some(), "{at}: the batch stays open");
        let said = fail(&pair, &["--rewind"]);
        assert!(said.contains("to tick"), "{said}");
    }
}

#[test]
fn a_tick_of_the_same_history_is_recognized() {
    let (pair, mut source, ticks) = moved();
    // A standby may have the ticks and not that their batches were finished.
    pgq::admin::register_consumer_at(&mut source, SOURCE_QUEUE, JOB, ticks[0]).expect("moved back");
    let last = batch(&mut source, SOURCE_QUEUE, 30, 10);
    pair.drain();
    pair.assert_moved();
    assert!(pair.log().contains("not applying it again"), "{}", pair.log());
    assert_eq!(queues::position(&mut source, SOURCE_QUEUE, JOB), (last, None));
    // The reverse: the target is restored, and the rewind compares number and time.
    let earlier = format!("select pgq_ext.set_last_tick('{JOB}', {})", ticks[2]);
    pair.target_client().batch_execute(&earlier).expect("restored");
    batch(&mut source, SOURCE_QUEUE, 40, 10);
    assert!(fail(&pair, &[]).contains("has lost its position"));
    succeed(&mut pair.mover(&["--rewind"]));
    assert_eq!(queues::position(&mut source, SOURCE_QUEUE, JOB), (ticks[2], None));
}

#[test]
fn the_record_has_the_time_of_its_tick() {
    let (pair, mut source, ticks) = moved();
    let mut target = pair.target_client();
    let tracker = Tracker::new(JOB);
    let checkpoint = tracker.checkpoint(&mut target).expect("readable").expect("recorded");
    assert_eq!(checkpoint.tick, ticks[2]);
    assert_eq!(
        checkpoint.time,
        pgq::admin::tick_time(&mut source, SOURCE_QUEUE, ticks[2]).expect("readable")
    );
    assert!(checkpoint.time.is_some());
    tracker.set_last_tick(&mut target, None).expect("forgotten");
    assert_eq!(tracker.checkpoint(&mut target).expect("readable"), None);
    tracker.set_checkpoint(&mut target, &checkpoint).expect("recorded");
    assert_eq!(tracker.checkpoint(&mut target).expect("readable"), Some(checkpoint));
    // Recording a number alone does not leave it with the time of another tick.
    tracker.set_last_tick(&mut target, Some(ticks[2])).expect("recorded");
    assert_eq!(tracker.checkpoint(&mut target).expect("readable").and_then(|at| at.time), None);
}
