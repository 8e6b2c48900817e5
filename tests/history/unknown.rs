//! Records without times: of earlier releases, of Python consumers, of another PgQ's schema.

use pgq_ext::Tracker;

use super::*;
use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, succeed};
use crate::support::wait_for;

fn time_is_known(target: &mut Client) -> bool {
    let checkpoint = Tracker::new(JOB).checkpoint(target).expect("readable").expect("recorded");
    checkpoint.time.is_some()
}

#[test]
fn a_number_is_accepted_once_and_gets_its_time() {
    let pair = Pair::create();
    pair.write_ini("pgq_merge_events = 0\n");
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let start = queues::position(&mut source, SOURCE_QUEUE, JOB).0;
    let ticks = [0, 10, 20, 30].map(|from| batch(&mut source, SOURCE_QUEUE, from, 10));
    // At the start of the next batch, at its end, and beyond.
    for (from, number, moved) in [(start, start, 40), (ticks[0], ticks[1], 20), (ticks[0], ticks[3], 0)] {
        let tracker = Tracker::new(JOB);
        tracker.set_last_tick(&mut target, Some(number)).expect("recorded");
        assert!(!time_is_known(&mut target));
        pgq::admin::register_consumer_at(&mut source, SOURCE_QUEUE, JOB, from).expect("moved");
        let before = queues::count(&mut target, TARGET_QUEUE);
        pair.drain();
        assert_eq!(queues::count(&mut target, TARGET_QUEUE) - before, moved);
        assert!(time_is_known(&mut target));
    }
}

/// Takes the schema back to one that keeps numbers only.
fn make_old(target: &mut Client) {
    target
        .batch_execute(
            "drop table pgq_ext.checkpoint, pgq_ext.completed_range cascade; \
             alter table pgq_ext.completed_tick add primary key (consumer_id, subconsumer_id); \
             drop function pgq_ext.get_checkpoint, pgq_ext.get_batch_status, pgq_ext.forget_batches; \
             drop function pgq_ext.set_last_tick(text, text, bigint, timestamptz); \
             create or replace function pgq_ext.set_last_tick(a_consumer text, a_subconsumer text, a_tick_id bigint) \
             returns integer language sql as $$ \
                 insert into pgq_ext.completed_tick values ($1, $2, $3) \
                 on conflict (consumer_id, subconsumer_id) do update set last_tick_id = $3 returning 1 $$; \
             create or replace function pgq_ext.set_last_tick(a_consumer text, a_tick_id bigint) \
             returns integer language sql as 'select pgq_ext.set_last_tick($1, '''', $2)'",
        )
        .expect("as another PgQ's");
}

#[test]
fn a_schema_without_times_is_used_by_number_with_a_warning_until_it_is_installed_anew() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    make_old(&mut target);
    for round in 0..3 {
        let tick = batch(&mut source, SOURCE_QUEUE, round * 10, 10);
        pair.drain();
        assert_eq!(Tracker::new(JOB).last_tick(&mut target).expect("readable"), Some(tick));
        if round == 1 {
            assert_eq!(pair.log().matches("WARNING schema `pgq_ext`").count(), 2, "{}", pair.log());
            succeed(&mut pair.mover(&["--rewind"]));
            let error = Tracker::new(JOB).checkpoint(&mut target).expect_err("too old");
            assert!(error.kind() == pgq_ext::ErrorKind::NotInstalled, "{error:?}");
            pgq_ext::schema::install(&mut target).expect("up to date");
        }
    }
    pair.assert_moved();
    assert_eq!(pair.log().matches("WARNING schema `pgq_ext`").count(), 2, "{}", pair.log());
    assert!(time_is_known(&mut target));
}

#[test]
fn a_running_mover_records_times_as_soon_as_the_schema_has_them() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    make_old(&mut target);
    let mover = Running::start(&mut pair.mover(&[]));
    for round in 0..2 {
        let tick = batch(&mut source, SOURCE_QUEUE, round * 10, 10);
        wait_for("the batch", || queues::position(&mut source, SOURCE_QUEUE, JOB) == (tick, None));
        if round == 0 {
            pgq_ext::schema::install(&mut target).expect("up to date");
        }
    }
    drop(mover);
    assert!(time_is_known(&mut target));
}
