//! The batch of an event during concurrent changes: alike on both kinds of PgQ.

use std::thread;

use postgres::Client;

use super::concurrency::rotate;
use super::peer::{Peer, Peers, answer};
use crate::support::amount::pick;
use crate::support::server::Server;
use crate::support::wait_for;

const CREATE: &str = "select pgq.create_queue('q'); \
    update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0'; \
    select pgq.register_consumer('q', 'c')";

/// Creates servers that nobody else uses, so that transaction ids follow each other.
fn peers() -> ([Server; 2], Peers) {
    let servers = [Server::builder().with_pgq(), Server::builder()]
        .map(|builder| builder.setting("max_prepared_transactions", "10").start().expect("a server"));
    let mut peers = Peers::create_on(&servers, "visibility");
    for peer in [&mut peers.extension, &mut peers.own] {
        peer.client.batch_execute(CREATE).expect("created");
    }
    (servers, peers)
}

/// Makes a tick and returns the events of the batch that it ends.
fn tick(client: &mut Client) -> String {
    client.batch_execute("select pgq.ticker('q')").expect("a tick");
    let events = answer(
        client,
        "select coalesce(string_agg(ev_data, ' ' order by ev_data), '') \
         from pgq.get_batch_events(pgq.next_batch('q', 'c'))",
    );
    client.batch_execute("select pgq.finish_batch(sub_batch) from pgq.subscription").expect("finished");
    events.trim_end().to_owned()
}

/// Does both steps; returns whether the first one could be done.
fn try_to_rotate(client: &mut Client) -> bool {
    let before = current_table(client);
    client.batch_execute("select pgq.maint_rotate_tables_step1('q')").expect("step 1");
    client.batch_execute("select pgq.maint_rotate_tables_step2()").expect("step 2");
    current_table(client) != before
}

fn current_table(client: &mut Client) -> String {
    answer(client, "select queue_cur_table from pgq.queue")
}

/// Three transactions with ids side by side end before the first, the second or the third tick, in all ways, with a
/// rotation before any of these.
#[test]
fn an_event_is_in_the_batch_of_the_first_tick_after_its_commit() {
    let (_server, mut peers) = peers();
    // In the short form a fifth of the cases, which has every end of every transaction still.
    let step = pick(5, 1);
    for peer in [&mut peers.extension, &mut peers.own] {
        let mut sessions = [(); 3].map(|()| peer.connect());
        let mut rotations = 0;
        for case in (0..27 * 4).step_by(step) {
            let ends = [case % 3, case / 3 % 3, case / 9 % 3];
            rotations += usize::from(check(&mut peer.client, &mut sessions, ends, case / 27));
        }
        assert!(rotations > 20 / step, "{rotations}");
    }
}

/// Runs one case; returns whether the tables rotated.
fn check(client: &mut Client, sessions: &mut [Client; 3], ends: [usize; 3], rotation: usize) -> bool {
    let mut rotated = false;
    let prepared = |which: usize| (which + ends[which]).is_multiple_of(2);
    for (which, session) in sessions.iter_mut().enumerate() {
        session
            .batch_execute(&format!("begin; select pgq.insert_event('q', 'a', '{which}')"))
            .expect("inserted");
        if prepared(which) {
            session.batch_execute(&format!("prepare transaction '{which}'")).expect("prepared");
        }
    }
    for now in 0..3 {
        rotated |= rotation == now && try_to_rotate(client);
        let ending: Vec<usize> = (0..3).filter(|which| ends[*which] == now).collect();
        for which in &ending {
            let end =
                if prepared(*which) { format!("commit prepared '{which}'") } else { "commit".to_owned() };
            sessions[*which].batch_execute(&end).expect("committed");
        }
        let expected: Vec<String> = ending.iter().map(usize::to_string).collect();
        assert_eq!(tick(client), expected.join(" "), "tick {now}; ends {ends:?}, rotation {rotation}");
    }
    rotated
}

/// Runs on both: `begin` starts to insert an event, then the tables rotate and a tick follows, then `end` ends it.
fn survives_a_rotation(begin: impl Fn(&Peer) -> Client, end: impl Fn(Client)) {
    let (_server, mut peers) = peers();
    for peer in [&mut peers.extension, &mut peers.own] {
        tick(&mut peer.client);
        let late = begin(peer);
        rotate(&mut peer.client, "q");
        assert_eq!(tick(&mut peer.client), "");
        // The event may be inserted into the table before the current one, which so has to stay, and to be read.
        for _ in 0..3 {
            assert!(!try_to_rotate(&mut peer.client));
            assert_eq!(tick(&mut peer.client), "");
        }
        end(late);
        assert_eq!(tick(&mut peer.client), "late");
        wait_for("the next rotation", || {
            let rotated = try_to_rotate(&mut peer.client);
            tick(&mut peer.client);
            rotated
        });
    }
}

#[test]
fn an_event_of_a_transaction_that_outlives_a_rotation_is_not_lost() {
    survives_a_rotation(
        |peer| {
            let mut late = peer.connect();
            late.batch_execute("begin; select pgq.insert_event('q', 'a', 'late')").expect("inserted");
            late
        },
        |mut late| late.batch_execute("commit").expect("committed"),
    );
}

#[test]
fn an_event_of_a_prepared_transaction_that_outlives_a_rotation_is_not_lost() {
    survives_a_rotation(
        |peer| {
            let mut late = peer.connect();
            late.batch_execute("begin; savepoint s; select pgq.insert_event('q', 'a', 'late'); release s")
                .expect("in");
            late.batch_execute("prepare transaction 'late'").expect("prepared");
            late
        },
        |mut late| late.batch_execute("commit prepared 'late'").expect("committed"),
    );
}

/// In the extension the transaction has no id yet when it reads the table's name, so that a rotation can pass before it
/// writes; its event is in a table that is not read any more.
#[test]
fn an_event_for_a_table_that_was_current_before_a_rotation_is_not_lost() {
    let (_server, mut peers) = peers();
    for (peer, expected) in [(&mut peers.extension, ""), (&mut peers.own, "late")] {
        tick(&mut peer.client);
        let mut late = peer.connect();
        late.batch_execute("begin").expect("begun");
        let table = answer(&mut late, "select pgq.current_event_table('q')");
        rotate(&mut peer.client, "q");
        assert_eq!(tick(&mut peer.client), "");
        let insert = format!("insert into {table} (ev_time, ev_data) values (now(), 'late'); commit");
        late.batch_execute(&insert).expect("inserted");
        assert_eq!(tick(&mut peer.client), expected);
    }
}

/// The session that inserts has read the name of the current table, and waits for a lock before it writes.
#[test]
fn an_event_whose_insert_spans_a_rotation_is_not_lost() {
    let (_server, mut peers) = peers();
    for peer in [&mut peers.extension, &mut peers.own] {
        tick(&mut peer.client);
        let table = answer(&mut peer.client, "select pgq.current_event_table('q')");
        // A transaction without an id, as that would hold up the second rotation.
        let mut holder = peer.connect();
        holder.batch_execute(&format!("begin; lock table {table} in share mode")).expect("locked");
        let mut late = peer.connect();
        thread::scope(|scope| {
            let insert = scope.spawn(|| late.batch_execute("select pgq.insert_event('q', 'a', 'late')"));
            let waits = "select count(*) > 0 from pg_locks where not granted and locktype = 'relation'";
            wait_for("the insertion to wait", || peer.client.query_one(waits, &[]).expect("readable").get(0));
            rotate(&mut peer.client, "q");
            assert_eq!(tick(&mut peer.client), "");
            holder.batch_execute("commit").expect("released");
            insert.join().expect("no panic").expect("inserted");
        });
        assert_eq!(tick(&mut peer.client), "late");
    }
}
