//! Transactions that keep their snapshot: where the extension loses or repeats events, the own schema raises an error
//! that says to retry.

use postgres::Client;

use super::concurrency::rotate;
use super::peer::{Peer, Peers, answer};
use crate::support::wait_for;

const LEVELS: [&str; 2] = ["repeatable read", "serializable"];
const REFUSED: &str = "40001: could not serialize access";

/// Returns two databases with a queue that ticks and rotates on every call, and a consumer.
fn peers() -> Peers {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
         update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0'
         select pgq.register_consumer('q', 'c')",
    );
    peers
}

/// Returns a session whose transaction has its snapshot.
fn keep_snapshot(peer: &Peer, level: &str) -> Client {
    let mut client = peer.connect();
    client
        .batch_execute(&format!("begin isolation level {level}; select count(*) from pgq.queue"))
        .expect("begun");
    client
}

/// Reads batches until there is none; returns the events' data.
fn read(client: &mut Client, consumer: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let next = "select pgq.next_batch('q', $1)";
        let Some(batch) = client.query_one(next, &[&consumer]).expect("answers").get::<_, Option<i64>>(0)
        else {
            return seen;
        };
        let events =
            client.query("select ev_data from pgq.get_batch_events($1)", &[&batch]).expect("readable");
        seen.extend(events.iter().map(|row| row.get::<_, String>(0)));
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    }
}

/// Ticks and reads until the tables may rotate.
fn catch_up(client: &mut Client) {
    wait_for("a tick that the rotation may reach", || {
        client.batch_execute("select pgq.ticker('q')").expect("a tick");
        read(client, "c");
        let may = "select txid_snapshot_xmin(tick_snapshot) > queue_switch_step2 \
                   from pgq.subscription, pgq.tick, pgq.queue where tick_id = sub_last_tick";
        client.query_one(may, &[]).expect("readable").get(0)
    });
}

#[test]
fn a_tick_does_not_go_back_in_time() {
    for level in LEVELS {
        let mut peers = peers();
        for (peer, expected) in [(&mut peers.extension, vec!["1", "1"]), (&mut peers.own, vec!["1"])] {
            let mut late = keep_snapshot(peer, level);
            let tick = "select pgq.ticker('q') > 0";
            peer.client.batch_execute("select pgq.insert_event('q', 'a', '1')").expect("inserted");
            assert_eq!(answer(&mut peer.client, tick), "t\n");
            let answered = answer(&mut late, tick);
            assert_eq!(answered.starts_with(REFUSED), expected.len() == 1, "{answered}");
            late.batch_execute("commit").expect("ended");
            assert_eq!(answer(&mut peer.client, tick), "t\n");
            assert_eq!(read(&mut peer.client, "c"), expected, "{level}");
        }
    }
}

/// While another session ticks, the snapshot is taken before that tick, and the lock after it.
#[test]
fn a_tick_that_waited_for_another_does_not_go_back_in_time() {
    let mut peers = peers();
    let own = &mut peers.own;
    let mut first = own.connect();
    first.batch_execute("begin; select pgq.ticker('q')").expect("a tick");
    let mut second = own.connect();
    second
        .batch_execute("set default_transaction_isolation = 'repeatable read'; set statement_timeout = '60s'")
        .expect("set");
    let answered = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| answer(&mut second, "select pgq.ticker('q')"));
        wait_for("the second to wait", || {
            let waits = "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
            own.client.query_one(waits, &[]).expect("readable").get(0)
        });
        first.batch_execute("commit").expect("committed");
        waiting.join().expect("an answer")
    });
    assert!(answered.starts_with(REFUSED), "{answered}");
    assert_eq!(answer(&mut second, "select pgq.ticker('q') > 0"), "t\n");
}

#[test]
fn a_snapshot_that_is_kept_ticks_where_no_tick_is_newer() {
    for level in LEVELS {
        let mut peers = peers();
        for statement in [
            "begin; select pgq.ticker('q') > 0; rollback",
            &format!(
                "begin isolation level {level}; select pgq.ticker('q') > 0; select pgq.ticker('q') > 0; commit"
            ),
            &format!("begin isolation level {level}; select pgq.ticker(); commit"),
            "select pgq.ticker('q') > 0",
            "select max(tick_id), count(*) from pgq.tick",
            "select pgq.next_batch('q', 'c')",
        ] {
            peers.same(statement);
        }
    }
}

#[test]
fn a_rotation_does_not_overlook_a_consumer() {
    for level in LEVELS {
        for registration in [
            "select pgq.register_consumer_at('q', 'new', (select min(tick_id) from pgq.tick))",
            "select pgq.register_consumer_at('q', 'c', (select min(tick_id) from pgq.tick))",
        ] {
            let mut peers = peers();
            for (peer, lost) in [(&mut peers.extension, true), (&mut peers.own, false)] {
                catch_up(&mut peer.client);
                rotate(&mut peer.client, "q");
                catch_up(&mut peer.client);
                let mut late = keep_snapshot(peer, level);
                peer.client.batch_execute(registration).expect("registered");
                let rotated = answer(&mut late, "select pgq.maint_rotate_tables_step1('q')");
                assert_eq!(rotated.starts_with(REFUSED), !lost, "{rotated}");
                late.batch_execute("commit").expect("ended");
                let next = "select pgq.next_batch('q', co_name) > 0 from pgq.subscription join pgq.consumer \
                            on co_id = sub_consumer order by sub_last_tick limit 1";
                let answered = answer(&mut peer.client, next);
                assert_eq!(answered.starts_with("P0001: PgQ corruption"), lost, "{answered}");
            }
        }
    }
}

#[test]
fn a_consumer_does_not_register_at_a_tick_that_a_rotation_deleted() {
    for level in LEVELS {
        let mut peers = peers();
        let own = &mut peers.own;
        let mut late = keep_snapshot(own, level);
        wait_for("the first tick to go", || {
            own.client.batch_execute("select pgq.ticker('q')").expect("a tick");
            read(&mut own.client, "c");
            own.client.batch_execute("select pgq.maint_rotate_tables_step1('q')").expect("step 1");
            own.client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
            answer(&mut own.client, "select min(tick_id) > 1 from pgq.tick") == "t\n"
        });
        let registered = answer(&mut late, "select pgq.register_consumer_at('q', 'late', 1)");
        assert!(registered.starts_with(REFUSED), "{registered}");
    }
}
