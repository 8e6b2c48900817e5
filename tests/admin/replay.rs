//! Consumers that read events again: registered at a time.

use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use pgq::ErrorKind;
use postgres::Client;

use super::Place;
use crate::support::{queues, wait_for};

const READ: &str = "select ev_data from pgq.get_batch_events($1) order by ev_id";

/// Makes a queue with one event before each of four ticks, which were made at 10:00, 11:00, 12:00 and 13:00 of a day.
fn queue(client: &mut Client) -> [i64; 4] {
    queues::create(client, "q");
    pgq::admin::register_consumer(client, "q", "c").expect("registered");
    client
        .batch_execute("delete from pgq.tick where tick_id < (select max(tick_id) from pgq.tick)")
        .expect("deleted");
    let ticks = std::array::from_fn(|at| {
        queues::insert(client, "q", i64::try_from(at).expect("small"), 1);
        queues::tick(client, "q")
    });
    let time = "update pgq.tick set tick_time = '2020-01-02 10:00+00'::timestamptz + (tick_id - $1) * interval '1 hour'";
    client.execute(time, &[&ticks[0]]).expect("updated");
    ticks
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2020-01-02T{text}Z").parse().expect("a time")
}

/// Reads all batches of a consumer.
fn read(client: &mut Client, consumer: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let next = "select pgq.next_batch('q', $1)";
    while let Some(batch) = client.query_one(next, &[&consumer]).expect("answers").get::<_, Option<i64>>(0) {
        let rows = client.query(READ, &[&batch]).expect("readable");
        seen.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    }
    seen
}

#[test]
fn a_consumer_is_registered_at_the_last_tick_before_a_time() {
    for mut place in Place::each() {
        let client = &mut place.client;
        let ticks = queue(client);
        for (time, tick, events) in [
            ("10:00:00", 0, 3),
            ("10:59:59", 0, 3),
            ("11:00:00", 1, 2),
            ("13:00:00", 3, 0),
            ("23:00:00", 3, 0),
        ] {
            pgq::admin::register_consumer_at_time(client, "q", "new", at(time)).expect("registered");
            assert_eq!(queues::position(client, "q", "new"), (ticks[tick], None), "{time}");
            let expected: Vec<String> = (4 - events..4).map(|number| format!("event {number}")).collect();
            assert_eq!(read(client, "new"), expected);
        }
        let found = pgq::admin::tick_at(client, "q", at("12:30:00")).expect("found");
        assert_eq!((found.tick, found.time), (ticks[2], Some(at("12:00:00"))));
        // The queue's first tick was made before these.
        let first =
            client.query_one("select min(tick_id) from pgq.tick", &[]).expect("readable").get::<_, i64>(0);
        assert!(first < ticks[0]);
        let early = at("09:00:00") - TimeDelta::microseconds(1);
        let error = pgq::admin::register_consumer_at_time(client, "q", "early", early).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Missing);
        let expected = format!(
            "no tick is as old as 2020-01-02T08:59:59.999999Z; the first one is tick {first} of 2020-01-02T09:00:00.000000Z"
        );
        assert!(error.to_string().contains(&expected), "{error}");
        let future = Utc::now() + TimeDelta::hours(1);
        let error = pgq::admin::register_consumer_at_time(client, "q", "late", future).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Usage);
        let error = pgq::admin::tick_at(client, "none", at("12:00:00")).expect_err("there is no such queue");
        assert_eq!(error.kind(), ErrorKind::Missing);
        let registered = "select count(*) from pgq.consumer where co_name in ('early', 'late')";
        assert_eq!(client.query_one(registered, &[]).expect("readable").get::<_, i64>(0), 0);
    }
}

/// Ticks at 10:00, 11:00, then 10:30 after the clock was set back, 11:30.
#[test]
fn after_the_clock_was_set_back_no_event_is_left_out() {
    for mut place in Place::each() {
        let client = &mut place.client;
        let ticks = queue(client);
        for (tick, time) in ticks.iter().zip(["10:00", "11:00", "10:30", "11:30"]) {
            let update =
                format!("update pgq.tick set tick_time = '2020-01-02 {time}+00' where tick_id = {tick}");
            client.batch_execute(&update).expect("updated");
        }
        for (time, tick) in [("10:40:00", 0), ("11:00:00", 2), ("11:15:00", 2), ("11:30:00", 3)] {
            let found = pgq::admin::tick_at(client, "q", at(time)).expect("found");
            assert_eq!(found.tick, ticks[tick], "{time}");
        }
        let ends = format!(
            "update pgq.tick set tick_time = 'infinity' where tick_id = {}; \
             update pgq.tick set tick_time = '-infinity' where tick_id < {}",
            ticks[3], ticks[0]
        );
        client.batch_execute(&ends).expect("updated");
        assert_eq!(pgq::admin::tick_at(client, "q", at("23:00:00")).expect("found").tick, ticks[2]);
        assert!(pgq::admin::tick_at(client, "q", at("01:00:00")).expect("found").tick < ticks[0]);
    }
}

#[test]
fn the_command_takes_times_and_intervals() {
    for mut place in Place::each() {
        let ticks = queue(&mut place.client);
        let (_, log) = place.done(&["register", "q", "new", "--at", "2020-01-02 11:10+00"]);
        assert!(log.contains(&format!("registered at tick {}", ticks[1])), "{log}");
        assert_eq!(queues::position(&mut place.client, "q", "new"), (ticks[1], None));
        place.refused(
            &["register", "q", "new", "--at", "2020-01-02 10:10+00"],
            2,
            &format!("move consumer `new` on queue `q` from tick {} to tick {}?", ticks[1], ticks[0]),
        );
        place.done(&["register", "q", "new", "--force", "--at", "2020-01-02 10:10+00"]);
        assert_eq!(queues::position(&mut place.client, "q", "new"), (ticks[0], None));

        let recent = "update pgq.tick set tick_time = now() - interval '2 hours' where tick_id = \
                      (select max(tick_id) from pgq.tick)";
        place.client.batch_execute(recent).expect("updated");
        for (consumer, ago, tick) in
            [("a", "1 hour", 3), ("b", "90 min ago", 3), ("d", "2:30", 2), ("e", "now", 3), ("f", "P1D", 2)]
        {
            place.done(&["register", "q", consumer, "--at", ago]);
            assert_eq!(queues::position(&mut place.client, "q", consumer), (ticks[tick], None), "{ago}");
        }
        place.refused(&["register", "q", "x", "--at", "2019-01-01"], 1, "no tick is as old as 20");
        place.refused(&["register", "q", "x", "--at", "tomorrow"], 2, "is in the future");
        place.refused(&["register", "q", "x", "--at", "infinity"], 2, "is in the future");
        place.refused(&["register", "q", "x", "--at=-infinity"], 1, "the first one is tick");
    }
}

/// Each tick that is left leads to events that are left, whatever was rotated.
#[test]
fn all_events_behind_the_first_tick_are_delivered_again() {
    for mut place in Place::each() {
        let client = &mut place.client;
        queues::create(client, "q");
        client.batch_execute("select pgq.set_queue_config('q', 'rotation_period', '0')").expect("set");
        // The ticks and how many events were there.
        let mut before = vec![(queues::tick(client, "q"), 0)];
        pgq::admin::register_consumer(client, "q", "c").expect("registered");
        let mut rotations = 0;
        for round in 0..12 {
            for number in 0..3 {
                queues::insert(client, "q", round * 3 + number, 1);
                before.push((queues::tick(client, "q"), round * 3 + number + 1));
            }
            read(client, "c");
            let current = "select queue_cur_table from pgq.queue";
            let table = client.query_one(current, &[]).expect("readable").get::<_, i32>(0);
            pgq::ticker::maintain(client).expect("maintained");
            rotations +=
                i32::from(client.query_one(current, &[]).expect("readable").get::<_, i32>(0) != table);
            for (tick, count) in &before {
                if pgq::admin::tick_time(client, "q", *tick).expect("readable").is_some() {
                    pgq::admin::register_consumer_at(client, "q", "again", *tick).expect("registered");
                    let expected: Vec<String> =
                        (*count..round * 3 + 3).map(|n| format!("event {n}")).collect();
                    assert_eq!(read(client, "again"), expected, "{round} {tick}");
                }
            }
            pgq::admin::unregister_consumer(client, "q", "again").expect("unregistered");
        }
        assert!(rotations >= 4, "{rotations}");
    }
}

/// A rotation that has begun deletes the tick to which a consumer is about to be moved.
#[test]
fn a_rotation_and_a_registration_at_an_old_tick_take_turns() {
    for mut place in Place::each() {
        for is_registered in [false, true] {
            let client = &mut place.client;
            let name = "again";
            client.batch_execute("select pgq.drop_queue(queue_name, true) from pgq.queue").expect("dropped");
            queues::create(client, "q");
            client.batch_execute("select pgq.set_queue_config('q', 'rotation_period', '0')").expect("set");
            // A rotation deletes ticks that other tests' transactions make as old as the queue.
            let mut first = 0;
            wait_for("a tick that the next rotation keeps", || {
                first = queues::tick(client, "q");
                let kept = "select txid_snapshot_xmin(tick_snapshot) > queue_switch_step2 \
                     from pgq.tick join pgq.queue on queue_id = tick_queue where tick_id = $1";
                client.query_one(kept, &[&first]).expect("readable").get(0)
            });
            queues::insert(client, "q", 1, 1);
            queues::tick(client, "q");
            pgq::ticker::maintain(client).expect("maintained");
            assert!(pgq::admin::tick_time(client, "q", first).expect("readable").is_some());
            if is_registered {
                queues::tick(client, "q");
                pgq::admin::register_consumer(client, "q", name).expect("registered");
            }
            queues::tick(client, "q");
            let mut other = place.database.client();
            let pid: i32 = other.query_one("select pg_backend_pid()", &[]).expect("readable").get(0);
            let mut watcher = place.database.client();
            // Other tests' transactions put a rotation off.
            wait_for("the rotation", || {
                let last = queues::tick(&mut watcher, "q");
                if is_registered {
                    let move_on = "select pgq.register_consumer_at('q', $1, $2)";
                    watcher.execute(move_on, &[&name, &last]).expect("moved");
                }
                client.batch_execute("begin; select pgq.maint_rotate_tables_step1('q')").expect("answers");
                let left = "select count(*) from pgq.tick where tick_id = $1";
                let is_rotated = client.query_one(left, &[&first]).expect("readable").get::<_, i64>(0) == 0;
                if !is_rotated {
                    client.batch_execute("rollback").expect("rolled back");
                }
                is_rotated
            });
            let registering =
                thread::spawn(move || pgq::admin::register_consumer_at(&mut other, "q", name, first));
            wait_for("the registration", || {
                let waits = "select cardinality(pg_blocking_pids($1)) > 0";
                watcher.query_one(waits, &[&pid]).expect("readable").get(0)
            });
            client.batch_execute("commit").expect("committed");
            let error = registering.join().expect("no panic").expect_err("the tick is gone");
            assert!(error.to_string().contains("does not exist"), "{error}");
        }
    }
}

#[test]
fn the_number_of_tables_is_no_setting() {
    for mut place in Place::each() {
        queue(&mut place.client);
        place.refused(&["config", "q", "queue_ntables=5"], 2, "raise `rotation_period`");
    }
}
