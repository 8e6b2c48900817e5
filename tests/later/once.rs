//! Events that are inserted once for a key.

use std::thread;

use postgres::GenericClient;

use super::*;
use crate::support::queues::UNUSUAL;
use crate::support::wait_for;

/// Inserts an event for a key that is kept for a day.
fn once(client: &mut impl GenericClient, key: &str) -> (i64, bool) {
    once_for(client, key, "1 day").expect("answered")
}

fn once_for(client: &mut impl GenericClient, key: &str, keep: &str) -> Result<(i64, bool), postgres::Error> {
    let insert = "select * from pgq.insert_event_once($1, $2, $3::text::interval, 'type', $2)";
    client.query_one(insert, &[&QUEUE, &key, &keep]).map(|row| (row.get(0), row.get(1)))
}

/// Waits until a session of the database waits for a lock.
fn wait_blocked(database: &Database) {
    let waiting = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'";
    let mut watcher = database.client();
    wait_for("the lock", || {
        watcher.query_one(waiting, &[&database.name()]).expect("read").get::<_, i64>(0) > 0
    });
}

fn step(client: &mut Client) -> i32 {
    client.query_one("select pgq.maint_event_keys()", &[]).expect("maintained").get(0)
}

/// Makes the current table be in use for long.
fn age(client: &mut Client) {
    client.execute("update pgq.event_key_turn set turn_since = '2020-01-01'", &[]).expect("set");
}

/// Does the steps of a turn to a new table, if one is free, and removes the keys that are over. A step waits for all
/// transactions of the server, those of other tests too.
fn turn(client: &mut Client) {
    age(client);
    let live = |part: i32| {
        format!(
            " and ({part} <> all (turn_live) or turn_current = {part} \
             or exists (select from pgq.event_key_{part} where key_until > clock_timestamp()))"
        )
    };
    let rests = format!(
        "turn_previous is null and turn_retired is null and turn_settles is not null \
         and (turn_since > '2020-01-02' or cardinality(turn_live) = 3) {}{}{}",
        live(0),
        live(1),
        live(2)
    );
    step_until(client, &rests);
}

/// Does steps until a condition on the turn is met.
fn step_until(client: &mut Client, condition: &str) {
    let select = format!("select {condition} from pgq.event_key_turn");
    wait_for(condition, || {
        step(client) == 0 && client.query_one(&select, &[]).expect("read").get::<_, bool>(0)
    });
}

/// Returns the current table of keys and the number of keys in each.
fn keys(client: &mut Client) -> (i32, [i64; 3]) {
    let select = "select turn_current, (select count(*) from pgq.event_key_0), \
         (select count(*) from pgq.event_key_1), (select count(*) from pgq.event_key_2) from pgq.event_key_turn";
    let row = client.query_one(select, &[]).expect("read");
    (row.get(0), [row.get(1), row.get(2), row.get(3)])
}

#[test]
fn a_key_inserts_one_event_in_each_queue() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "other");
        let first = once(&mut client, UNUSUAL);
        assert!(first.1);
        assert_eq!(once(&mut client, UNUSUAL), (first.0, false));
        let second = once(&mut client, "");
        assert!(second.1 && second.0 != first.0);
        let other =
            "select * from pgq.insert_event_once('other', $1, '1 day', 't', 'd', 'a', 'b', null, 'd')";
        assert!(client.query_one(other, &[&UNUSUAL]).expect("answered").get::<_, bool>(1));
        assert_eq!(data(&mut client, QUEUE), [UNUSUAL, ""]);
        let row = &queues::events(&mut client, "other")[0];
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(row[..6], [text("t"), text("d"), text("a"), text("b"), None, text("d")]);
        let id = "select ev_id from pgq.event_1 order by ev_id limit 1";
        assert_eq!(client.query_one(id, &[]).expect("read").get::<_, i64>(0), first.0);
    }
}

#[test]
fn the_second_waits_for_the_first() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        for commits in [false, true] {
            let mut transaction = client.transaction().expect("begun");
            let first = once(&mut transaction, "key");
            assert!(first.1);
            let mut other = database.client();
            let second = thread::spawn(move || {
                let mut transaction = other.transaction().expect("begun");
                let second = once(&mut transaction, "key");
                transaction.rollback().expect("rolled back");
                second
            });
            wait_blocked(&database);
            if commits {
                transaction.commit().expect("committed");
                assert_eq!(second.join().expect("no panic"), (first.0, false));
            } else {
                transaction.rollback().expect("rolled back");
                let second = second.join().expect("no panic");
                assert!(second.1 && second.0 != first.0);
            }
        }
        assert_eq!(data(&mut client, QUEUE), ["key"]);
    }
}

#[test]
fn an_older_snapshot_is_a_serialization_failure() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut other = database.client();
        for level in ["repeatable read", "serializable"] {
            let begin = format!("begin isolation level {level}; select from pgq.queue");
            let fails = |client: &mut Client, other: &mut Client, key: &str, change: &dyn Fn(&mut Client)| {
                client.batch_execute(&begin).expect("a snapshot");
                change(other);
                let result = once_for(client, key, "1 day");
                client.batch_execute("rollback").expect("rolled back");
                let state = result.expect_err("the snapshot is older").code().expect("the server's").clone();
                assert_eq!(state.code(), "40001", "{kind}");
            };
            let key = format!("new {level}");
            fails(&mut client, &mut other, &key, &|other| assert!(once(other, &key).1));
            let key = format!("turned {level}");
            fails(&mut client, &mut other, &key, &|other| {
                turn(other);
                assert!(once(other, &key).1);
            });
            client.batch_execute(&begin).expect("a snapshot");
            assert!(once(&mut client, &format!("own {level}")).1);
            assert!(!once(&mut client, &format!("own {level}")).1);
            client.batch_execute("commit").expect("committed");
            assert!(!once(&mut other, &format!("own {level}")).1);
        }
    }
}

#[test]
fn a_key_is_forgotten_after_its_time_and_not_before() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        assert!(once(&mut client, "long").1);
        let first = once_for(&mut client, "short", "100 ms").expect("answered");
        assert!(first.1);
        let mut last = first;
        wait_for("the end of the key", || {
            last = once_for(&mut client, "short", "1 day").expect("answered");
            last.1
        });
        assert!(
            !once_for(&mut client, "short", "1 us").expect("answered").1,
            "a call does not shorten the time"
        );
        assert!(!once(&mut client, "long").1);

        // A key whose time ends while its transaction is open counts for calls that began before.
        let mut transaction = client.transaction().expect("begun");
        let held = once_for(&mut transaction, "held", "2 s").expect("answered");
        let mut other = database.client();
        let second = thread::spawn(move || once(&mut other, "held"));
        wait_blocked(&database);
        transaction.execute("select pg_sleep(2.1)", &[]).expect("slept");
        transaction.commit().expect("committed");
        assert_eq!(second.join().expect("no panic"), (held.0, false));
    }
}

#[test]
fn tables_of_keys_take_turns_and_are_truncated() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        assert_eq!(step(&mut client), 0);
        for number in 0..10 {
            once_for(&mut client, &format!("short {number}"), "1 ms").expect("answered");
        }
        turn(&mut client);
        assert_eq!(keys(&mut client), (1, [0, 0, 0]), "all keys are over, and their table is empty");
        let kept = once(&mut client, "kept");
        turn(&mut client);
        assert_eq!(keys(&mut client), (0, [0, 1, 0]));
        once_for(&mut client, "short", "1 ms").expect("answered");
        assert_eq!(once(&mut client, "kept"), (kept.0, false));
        turn(&mut client);
        // The key that is kept for long holds one table; the other two take turns.
        for number in 0..10 {
            once_for(&mut client, &format!("again {number}"), "1 ms").expect("answered");
            turn(&mut client);
            let (current, counts) = keys(&mut client);
            assert!(current != 1 && counts.iter().sum::<i64>() == 1, "{kind}: {current} {counts:?}");
            assert_eq!(once(&mut client, "kept"), (kept.0, false));
        }
        // With no free table, the current one goes on.
        assert!(once(&mut client, "second").1);
        turn(&mut client);
        assert!(once(&mut client, "third").1);
        let before = keys(&mut client);
        turn(&mut client);
        assert_eq!(keys(&mut client), before);
        for key in ["kept", "second", "third"] {
            assert!(!once(&mut client, key).1, "{key}");
        }
    }
}

#[test]
fn a_turn_waits_for_transactions_that_have_seen_an_earlier_one() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut early = database.client();
        while step(&mut client) > 0 {}
        assert!(once(&mut client, "first").1);
        early.batch_execute("begin").expect("begun");
        let first = once(&mut early, "early");
        age(&mut client);
        step_until(&mut client, "turn_current = 1");
        let turned = client.query_one("select turn_current, turn_previous from pgq.event_key_turn", &[]);
        let turned = turned.expect("read");
        assert_eq!((turned.get::<_, i32>(0), turned.get::<_, Option<i32>>(1)), (1, Some(0)));
        // The key is in a table that is not the current one any more, and not committed.
        let mut other = database.client();
        let second = thread::spawn(move || once(&mut other, "early"));
        wait_blocked(&database);
        let both = once(&mut client, "both");
        assert_eq!(once(&mut early, "both"), (both.0, false));
        early.batch_execute("commit").expect("committed");
        assert_eq!(second.join().expect("no panic"), (first.0, false));
        turn(&mut client);
        assert_eq!(data(&mut client, QUEUE), ["first", "early", "both"]);
        for key in ["first", "early", "both"] {
            assert!(!once(&mut client, key).1, "{key}");
        }
    }
}

#[test]
fn a_step_within_another_transaction_or_a_savepoint_waits_too() {
    let (database, mut client) = database(Kind::Own);
    let mut early = database.client();
    while step(&mut client) > 0 {}
    assert!(once(&mut client, "first").1);
    // This transaction has an id before the one that has seen the turn.
    client.batch_execute("begin; select txid_current(); savepoint s").expect("begun");
    early.batch_execute("begin").expect("begun");
    let first = once(&mut early, "early");
    let mut other = database.client();
    age(&mut other);
    assert_eq!(step(&mut other), 1);
    assert_eq!(step(&mut client), 0, "its id is older than those of others that it must wait for");
    client.batch_execute("commit").expect("committed");
    assert_eq!(step(&mut other), 1);
    assert_eq!((step(&mut other), step(&mut client)), (0, 0));
    early.batch_execute("commit").expect("committed");
    while step(&mut client) > 0 {}
    assert_eq!(once(&mut client, "early"), (first.0, false));
}

#[test]
fn a_reader_delays_the_truncation_and_nobody_else() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        once_for(&mut client, "key", "1 ms").expect("answered");
        let mut holder = database.client();
        holder
            .batch_execute("begin isolation level repeatable read; select from pgq.event_key_0")
            .expect("read");
        age(&mut client);
        step_until(&mut client, "turn_retired is not null and turn_settles is not null");
        assert!(once(&mut client, "key").1);
        assert_eq!(keys(&mut client), (1, [1, 1, 0]));
        holder.batch_execute("commit").expect("committed");
        step_until(&mut client, "turn_retired is null");
        assert_eq!(keys(&mut client).1, [0, 1, 0]);
    }
}

#[test]
fn many_sessions_and_many_turns_insert_each_key_once() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let insert = |mut client: Client, seed: u64| {
            thread::spawn(move || {
                let mut number = seed;
                let mut next = |below: u64| {
                    number = number
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    (number >> 33) % below
                };
                let mut new = 0;
                for _ in 0..400 {
                    let key = next(100).to_string();
                    let mut transaction = client.transaction().expect("begun");
                    let answer = once(&mut transaction, &key);
                    if next(2) == 0 {
                        transaction.commit().expect("committed");
                        new += usize::from(answer.1);
                    }
                }
                new
            })
        };
        let threads: Vec<_> = (0..4).map(|seed| insert(database.client(), seed)).collect();
        let mut turns = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            age(&mut client);
            turns += step(&mut client);
        }
        let new: usize = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        let mut data = data(&mut client, QUEUE);
        assert_eq!(data.len(), new);
        data.sort();
        data.dedup();
        assert_eq!(data.len(), new, "{kind}: no key twice");
        assert!(turns > 0, "{turns}");
    }
}

#[test]
fn wrong_arguments_are_errors() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "q");
        for (arguments, message) in [
            ("'nope', 'k', '1 day'", "queue `nope` does not exist"),
            (
                "'q', null, '1 day'",
                "the key of an event must have at most 1000 bytes, and has none: it is null",
            ),
            (
                "'q', repeat('ü', 501), '1 day'",
                "the key of an event must have at most 1000 bytes, and has 1002",
            ),
            ("'q', 'k', null", "the time to keep a key must be positive, and is `<NULL>`"),
            ("'q', 'k', '0 s'", "the time to keep a key must be positive, and is `00:00:00`"),
            ("'q', 'k', '-1 day'", "the time to keep a key must be positive, and is `-1 days`"),
        ] {
            let call = format!("select pgq.insert_event_once({arguments}, 't', 'd')");
            assert_eq!(refusal(&mut client, &call), message, "{kind}");
        }
        client.batch_execute("update pgq.queue set queue_disable_insert = true").expect("set");
        client
            .batch_execute("select pgq.insert_event_once('q', 'k', '1 day', 't', 'd')")
            .expect_err("closed");
        client.batch_execute("update pgq.queue set queue_disable_insert = false").expect("set");
        let call = "select (pgq.insert_event_once('q', 'k', '1 day', 't', 'd')).is_new";
        assert!(client.query_one(call, &[]).expect("answered").get::<_, bool>(0), "the failure kept no key");
        client.batch_execute("select pgq.drop_queue('q')").expect("dropped");
        assert_eq!(keys(&mut client).1, [0, 0, 0]);
    }
}
