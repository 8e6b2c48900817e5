//! The order of the indexes decides about speed only, and events of an earlier batch count no more.

use super::{installed, old_snapshot, text};

#[test]
fn numbers_that_go_down_after_a_restore_are_recorded_as_well() {
    let (database, mut client) = installed("records_down");
    let _holder = old_snapshot(&database);
    let time = |n: i32| format!("'2026-01-01'::timestamptz + {n} * interval '1 day'");
    for (day, n) in [5, 6, 9, 2, 3, 8, 1].into_iter().enumerate() {
        let (from, to) = (time(day as i32), time(day as i32 + 1));
        let done = format!("pgq_ext.set_batch_done('c', '', {n}, {n}, {from}, {n} + 1, {to})");
        let status = format!(
            "(select is_done and has_ticks and own_batch_id = {n} and own_tick_id = {n} + 1 \
             and own_tick_time = {to} from pgq_ext.get_batch_status('c', '', {n}, {n}, {n} + 1, {to}))"
        );
        let tick = format!("pgq_ext.set_last_tick('c', '', {n}, {to})");
        let checkpoint =
            format!("(select (tick_id, tick_time) = ({n}, {to}) from pgq_ext.get_checkpoint('c', ''))");
        let event = format!("pgq_ext.set_event_done('c', '', {n}, 1, {to})");
        let is_event_done = format!("pgq_ext.is_event_done('c', '', {n}, 1, {to})");
        let claim = format!("pgq_ext.claim_event('q', 'c', {n}, {from}, {n}, {to}, {to}, 1, 1)");
        for call in
            [&done, &status, &checkpoint.replace("= (", "is distinct from ("), &event, &is_event_done, &claim]
        {
            assert_eq!(text(&mut client, call), "true", "{call}");
        }
        assert_eq!(text(&mut client, &tick), "1");
        assert_eq!(text(&mut client, &checkpoint), "true");
        for call in [&done, &event, &claim] {
            assert_eq!(text(&mut client, call), "false", "{call}");
        }
        let kept = "(select array_agg(batch_id) from pgq_ext.completed_event) = array[N::bigint] \
             and (select array_agg(batch_id) from pgq_ext.claimed_event) = array[N::bigint]";
        assert_eq!(text(&mut client, &kept.replace('N', &n.to_string())), "true");
    }
}

/// A transaction that ends after the next batch has begun leaves its event behind.
#[test]
fn an_event_of_a_slow_transaction_does_not_count_for_a_later_batch_of_the_same_number() {
    for time in ["", ", '2026-01-01'"] {
        let (database, mut client) = installed("records_slow");
        let call = |client: &mut _, name: &str, batch: i32, event: i32| {
            text(client, &format!("pgq_ext.{name}_event_done('c', '', {batch}, {event}{time})"))
        };
        call(&mut client, "set", 1, 1);
        let mut slow = database.client();
        slow.batch_execute("begin").expect("begun");
        call(&mut slow, "set", 1, 2);
        call(&mut client, "set", 2, 1);
        slow.batch_execute("commit").expect("committed");
        call(&mut client, "set", 3, 1);
        assert_eq!(call(&mut client, "is", 1, 2), "false");
        assert_eq!(call(&mut client, "set", 1, 3), "true");
        assert_eq!(call(&mut client, "is", 1, 2), "false");
        assert_eq!(call(&mut client, "set", 1, 2), "true");
        assert_eq!(call(&mut client, "set", 1, 3), "false");
    }
}

#[test]
fn a_number_without_a_tick_never_gets_the_tick_of_an_earlier_batch() {
    let (_database, mut client) = installed("records_mixed");
    let has_ticks =
        "(select is_done and not has_ticks from pgq_ext.get_batch_status('c', '', 5, 5, 6, '2026-01-02'))";
    client
        .batch_execute("select pgq_ext.set_batch_done('c', '', 5, 5, '2026-01-01', 6, '2026-01-02')")
        .expect("recorded");
    client
        .batch_execute("select pgq_ext.set_batch_done('c', 6); select pgq_ext.set_batch_done('c', 5)")
        .expect("recorded");
    assert_eq!(text(&mut client, has_ticks), "true");
    // An operator changes the number meanwhile.
    client
        .batch_execute("select pgq_ext.set_batch_done('c', '', 5, 5, '2026-01-01', 6, '2026-01-02')")
        .expect("recorded");
    client
        .batch_execute(
            "update pgq_ext.completed_batch set last_batch_id = 7; select pgq_ext.set_batch_done('c', 5)",
        )
        .expect("recorded");
    assert_eq!(text(&mut client, has_ticks), "true");
    client
        .batch_execute(
            "select pgq_ext.set_last_tick('c', '', 5, '2026-01-02'); select pgq_ext.set_last_tick('c', 6); \
             select pgq_ext.set_last_tick('c', 5)",
        )
        .expect("recorded");
    assert_eq!(text(&mut client, "(select tick_time is null from pgq_ext.get_checkpoint('c', ''))"), "true");
}
