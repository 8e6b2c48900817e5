//! Intended differences from the extension, each with its reason and a test.

use super::peer::{Peers, answer};

/// Whether an object is one that the extension lacks: a helper of functions, or part of the mechanisms that keep positions and
/// retry events fast under an old snapshot.
pub(super) fn is_helper(name: &str) -> bool {
    let prefixes = ["pgq.tg_", "pgq._", "pgq.registration", "pgq.retry_mark", "pgq.rq_txid_idx"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("pgq.subscription_newest_idx")
        || name.starts_with("pgq.tick_endless_idx")
        || name.starts_with("pgq.subscription_open_idx")
}

/// The query is made of constants: it neither joins the ticks nor calls a function for each row.
#[test]
fn the_query_for_a_batch_is_another_text_with_the_same_rows() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         select pgq.register_consumer('q', 'c')
         select pgq.insert_event('q', 'a', 'b')
         select pgq.force_tick('q')
         select pgq.ticker('q')
         select pgq.next_batch('q', 'c')",
    );
    for peer in [&mut peers.extension, &mut peers.own] {
        let query = answer(&mut peer.client, "select pgq.batch_event_sql(1)");
        let ids = format!("select ev_id, ev_type, ev_data from ({}) batch", query.trim_end());
        assert_eq!(answer(&mut peer.client, &ids), "1|a|b\n");
    }
}

/// The extension takes the value of a new sequence for its first event, and ticks this event as an idle queue.
#[test]
fn the_first_event_of_a_queue_counts_as_new() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         select pgq.register_consumer('q', 'c')
         select pgq.ticker('q')
         update pgq.tick set tick_time = now() - interval '30 seconds' / tick_id
         select pgq.insert_event('q', 'a', 'b')",
    );
    let new = "select ev_new from pgq.get_queue_info('q')";
    let pending = "select pending_events from pgq.get_consumer_info('q', 'c')";
    let tick = "select pgq.ticker('q')";
    assert_eq!(
        [new, pending, tick].map(|query| answer(&mut peers.extension.client, query)),
        ["0\n", "0\n", "∅\n"]
    );
    assert_eq!([new, tick, pending].map(|query| answer(&mut peers.own.client, query)), ["1\n", "3\n", "1\n"]);
}

/// The extension counts events of a rolled back savepoint, which do not exist.
#[test]
fn the_limit_of_a_transaction_ignores_rolled_back_savepoints() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         update pgq.queue set queue_per_tx_limit = 2",
    );
    let attempt = "begin; select pgq.insert_event('q', 'a', 'b'); savepoint s; select pgq.insert_event('q', 'a', 'b'); \
         rollback to s; select pgq.insert_event('q', 'a', 'b'); commit";
    assert!(answer(&mut peers.extension.client, attempt).starts_with("XX000: Queue 'q' allows max 2 events"));
    assert_eq!(answer(&mut peers.own.client, attempt), "1\n2\n3\n");
}

/// The extension fails on an empty list.
#[test]
fn a_queue_may_have_an_empty_list_of_extra_maintenance() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         update pgq.queue set queue_extra_maint = '{}'",
    );
    let operations = "select * from pgq.maint_operations()";
    assert!(answer(&mut peers.extension.client, operations).starts_with("22004: "));
    assert_eq!(answer(&mut peers.own.client, operations), "");
}

/// Both steps in one transaction: a session with a snapshot from before its commit still inserts into the old table,
/// with a higher transaction id than the one that the extension records.
#[test]
fn the_second_step_waits_for_a_transaction_of_its_own() {
    let mut peers = Peers::create();
    peers.all_same("select pgq.create_queue('q')");
    let step2 = "select queue_switch_step2 is null from pgq.queue";
    let both = "begin; select txid_current() > 0; update pgq.queue set queue_switch_step2 = null; \
         select pgq.maint_rotate_tables_step2(); commit";
    for peer in [&mut peers.extension, &mut peers.own] {
        peer.client.batch_execute(both).expect("both steps");
    }
    assert_eq!(answer(&mut peers.extension.client, step2), "f\n");
    assert_eq!(answer(&mut peers.own.client, step2), "t\n");
    peers.own.client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("alone");
    assert_eq!(answer(&mut peers.own.client, step2), "f\n");
}

/// A transaction that keeps its snapshot over a rotation inserts into the previous table, which is not read any more;
/// the own schema raises an error that says to retry.
#[test]
fn an_old_snapshot_does_not_insert_behind_a_rotation() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         select pgq.create_queue('other')
         update pgq.queue set queue_rotation_period = '0'",
    );
    for (peer, lost) in [(&mut peers.extension, true), (&mut peers.own, false)] {
        let mut late = peer.connect();
        late.batch_execute("begin isolation level repeatable read; select count(*) from pgq.queue")
            .expect("begun");
        super::concurrency::rotate(&mut peer.client, "q");
        let answer = answer(&mut late, "select pgq.insert_event('q', 'late', 'event')");
        assert_eq!(answer.starts_with("40001: could not serialize access"), !lost, "{answer}");
        late.batch_execute("rollback").expect("rolled back");
        late.batch_execute(
            "begin isolation level repeatable read; select pgq.insert_event('other', 'a', 'b'); commit",
        )
        .expect("no rotation, no error");
    }
}

/// A snapshot does not list its own transaction, so that the extension's tick may already count events that the
/// transaction inserts after it; a consumer that is registered in between never gets them.
#[test]
fn events_of_the_transaction_that_ticks_are_after_its_tick() {
    let mut peers = Peers::create();
    for (peer, expected) in [(&mut peers.extension, "0\n"), (&mut peers.own, "1\n")] {
        peer.client.batch_execute("begin; select txid_current()").expect("begun");
        peer.connect().batch_execute("create table later ()").expect("committed");
        peer.client
            .batch_execute(
                "select pgq.create_queue('q'); select pgq.register_consumer('q', 'c'); \
                 select pgq.insert_event('q', 'a', 'b'); commit",
            )
            .expect("inserted");
        peer.client.batch_execute("select pgq.force_tick('q')").expect("forced");
        peer.client.batch_execute("select pgq.ticker('q')").expect("ticks");
        let count = "select count(*) from pgq.get_batch_events(pgq.next_batch('q', 'c'))";
        assert_eq!(answer(&mut peer.client, count), expected);
    }
}
