//! Delayed events by SQL: stored, delivered, listed, counted and cancelled.

use std::thread;

use super::*;
use crate::support::queues::UNUSUAL;
use crate::support::{unique, wait_for};

#[test]
fn a_due_event_is_inserted_with_its_columns_and_its_time() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let insert = "select pgq.insert_event_at($1, '2020-01-02 03:04:05+00', $2, $2, $2, null, '', $2)";
        client.execute(insert, &[&QUEUE, &UNUSUAL]).expect("stored");
        let nothing = "select pgq.insert_event_at($1, '2020-01-02 03:04:06+00', null, null)";
        client.execute(nothing, &[&QUEUE]).expect("stored");
        assert_eq!(queues::count(&mut client, QUEUE), 0);
        assert_eq!(deliver(&mut client), 2);
        client.batch_execute("set time zone 'UTC'").expect("set");
        let unusual = || Some(UNUSUAL.to_owned());
        let time = |second: &str| Some(format!("2020-01-02 03:04:0{second}+00"));
        let first = vec![unusual(), unusual(), unusual(), None, Some(String::new()), unusual(), time("5")];
        let second = vec![None, None, None, None, None, None, time("6")];
        assert_eq!(queues::events(&mut client, QUEUE), [first, second]);
        assert_eq!((deliver(&mut client), count(&mut client, QUEUE)), (0, 0));
    }
}

#[test]
fn an_event_is_not_inserted_before_its_time() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 3600.0, "later");
        insert_in(&mut client, QUEUE, 0.3, "soon");
        let due: std::time::SystemTime =
            client.query_one("select min(ev_due) from pgq.delayed_queue", &[]).expect("read").get(0);
        wait_for("the event", || deliver(&mut client) == 1);
        let now: std::time::SystemTime = client.query_one("select now()", &[]).expect("read").get(0);
        assert!(now >= due);
        assert_eq!(data(&mut client, QUEUE), ["soon"]);
        assert_eq!(count(&mut client, QUEUE), 1);
    }
}

#[test]
fn a_rollback_removes_the_event_and_a_late_commit_delivers_it() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut other = database.client();
        let mut transaction = client.transaction().expect("begun");
        insert_in(&mut transaction, QUEUE, 0.0, "lost");
        transaction.rollback().expect("rolled back");
        let mut transaction = client.transaction().expect("begun");
        insert_in(&mut transaction, QUEUE, -10.0, "late");
        // Others are stored and delivered meanwhile, so every mark is after the event's time.
        for _ in 0..3 {
            insert_in(&mut other, QUEUE, 0.0, "other");
            assert_eq!(deliver(&mut other), 1);
        }
        transaction.commit().expect("committed");
        assert_eq!(deliver(&mut other), 1);
        assert_eq!(data(&mut other, QUEUE), ["other", "other", "other", "late"]);
    }
}

#[test]
fn a_prepared_transaction_delivers_its_event_after_its_commit() {
    let server = crate::support::server::Server::builder().setting("max_prepared_transactions", "2").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    server.create_database("prepared");
    let mut client = server.client("prepared");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, QUEUE);
    client.batch_execute("begin").expect("begun");
    insert_in(&mut client, QUEUE, 0.0, "prepared");
    client.batch_execute("prepare transaction 'p'").expect("prepared");
    insert_in(&mut client, QUEUE, 0.0, "first");
    assert_eq!(deliver(&mut client), 1);
    client.batch_execute("commit prepared 'p'").expect("committed");
    assert_eq!(deliver(&mut client), 1);
    assert_eq!(data(&mut client, QUEUE), ["first", "prepared"]);
}

#[test]
fn a_transaction_that_delivers_and_stores_loses_none() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "0");
        let mut transaction = client.transaction().expect("begun");
        assert_eq!(deliver(&mut transaction), 1);
        insert_in(&mut transaction, QUEUE, -1.0, "1");
        insert_in(&mut transaction, QUEUE, 3600.0, "2");
        transaction.commit().expect("committed");
        insert_in(&mut client, QUEUE, -2.0, "3");
        while deliver(&mut client) > 0 {}
        let mut data = data(&mut client, QUEUE);
        data.sort();
        assert_eq!((data, count(&mut client, QUEUE)), (vec!["0".into(), "1".into(), "3".into()], 1));
    }
}

#[test]
fn two_sessions_deliver_each_event_once() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        for number in 0..3 {
            insert_in(&mut client, QUEUE, 0.0, &number.to_string());
        }
        let mut other = database.client();
        let mut transaction = client.transaction().expect("begun");
        assert_eq!(deliver(&mut transaction), 3);
        assert_eq!(deliver(&mut other), 0, "they are locked");
        transaction.rollback().expect("rolled back");
        assert_eq!(deliver(&mut other), 3);
        assert_eq!((deliver(&mut client), queues::count(&mut client, QUEUE)), (0, 3));

        let deliver_all = |mut client: Client| {
            thread::spawn(move || {
                let mut total = 0;
                while total < 200 {
                    match deliver(&mut client) {
                        0 => break,
                        some => total += some,
                    }
                }
                total
            })
        };
        let fill =
            "select count(pgq.insert_event_at($1, now(), 't', n::text)) from generate_series(1, 500) n";
        client.execute(fill, &[&QUEUE]).expect("stored");
        let threads = [deliver_all(database.client()), deliver_all(database.client())];
        let mut total: i32 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        while total < 500 {
            total += deliver(&mut client);
        }
        assert_eq!((total, queues::count(&mut client, QUEUE)), (500, 503));
    }
}

#[test]
fn events_are_listed_counted_and_cancelled() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let second = insert_in(&mut client, QUEUE, 7200.0, UNUSUAL);
        let first = insert_in(&mut client, QUEUE, 3600.0, "first");
        queues::create(&mut client, "other");
        let listed = pgq::admin::delayed_events(&mut client, QUEUE, None, 0).expect("listed");
        assert_eq!(listed.iter().map(|event| event.id).collect::<Vec<_>>(), [first, second]);
        let event = &listed[1];
        assert_eq!((event.event_type.as_deref(), event.data.as_deref()), (Some("type"), Some(UNUSUAL)));
        assert_eq!((event.due - event.stored).num_seconds(), 7200);
        assert_eq!((event.role.as_str(), &event.extra), ("postgres", &[None, None, None, None]));
        let page = pgq::admin::delayed_events(&mut client, QUEUE, Some(1), 1).expect("listed");
        assert_eq!(page, listed[1..]);

        let mut cancel =
            |queue, id| pgq::admin::cancel_delayed_event(&mut client, queue, id).expect("cancelled");
        assert!(!cancel("other", first), "it is in another queue");
        assert!(cancel(QUEUE, first));
        assert!(!cancel(QUEUE, first));
        assert!(!cancel(QUEUE, i64::MAX));
        assert_eq!((count(&mut client, QUEUE), count(&mut client, "other")), (1, 0));
        let error = pgq::admin::count_delayed_events(&mut client, "nope").expect_err("no queue");
        assert!(error.kind() == pgq::ErrorKind::Missing, "{error:?}");
    }
}

#[test]
fn a_cancellation_waits_for_the_delivery_and_its_rollback_keeps_the_event() {
    let (database, mut client) = database(Kind::Own);
    let id = insert_in(&mut client, QUEUE, 0.0, "data");
    let mut transaction = client.transaction().expect("begun");
    assert_eq!(deliver(&mut transaction), 1);
    let mut other = database.client();
    let cancelled = thread::spawn(move || pgq::admin::cancel_delayed_event(&mut other, QUEUE, id));
    let waiting = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'";
    let mut watcher = database.client();
    wait_for("the lock", || {
        watcher.query_one(waiting, &[&database.name()]).expect("read").get::<_, i64>(0) == 1
    });
    transaction.commit().expect("committed");
    assert!(!cancelled.join().expect("no panic").expect("no error"), "it was delivered");

    let id = insert_in(&mut client, QUEUE, 0.0, "kept");
    let mut transaction = client.transaction().expect("begun");
    assert!(pgq::admin::cancel_delayed_event(&mut transaction, QUEUE, id).expect("cancelled"));
    assert_eq!(deliver(&mut database.client()), 0);
    transaction.rollback().expect("rolled back");
    assert_eq!(deliver(&mut client), 1);
}

#[test]
fn wrong_arguments_and_closed_queues_are_errors() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "q");
        for (call, message) in [
            ("insert_event_at('nope', now(), 't', 'd')", "queue `nope` does not exist"),
            ("insert_event_at(null, now(), 't', 'd')", "queue `<NULL>` does not exist"),
            (
                "insert_event_at('q', null, 't', 'd')",
                "the time of a delayed event must be finite, and is `<NULL>`",
            ),
            (
                "insert_event_at('q', 'infinity', 't', 'd')",
                "the time of a delayed event must be finite, and is `infinity`",
            ),
            ("delayed_event_count('nope')", "queue `nope` does not exist"),
            ("delayed_event_list('nope')", "queue `nope` does not exist"),
            ("delayed_event_cancel('nope', 1)", "queue `nope` does not exist"),
        ] {
            assert_eq!(refusal(&mut client, &format!("select pgq.{call}")), message, "{kind}: {call}");
        }
        client
            .batch_execute("update pgq.queue set queue_disable_insert = true where queue_name = 'q'")
            .expect("set");
        let insert = "select pgq.insert_event_at('q', now(), 't', 'd')";
        assert_eq!(refusal(&mut client, insert), "inserting into queue `q` is disabled");
    }
}

#[test]
fn a_closed_or_broken_queue_keeps_its_events_and_delays_no_others() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "closed");
        queues::create(&mut client, "broken");
        for queue in ["closed", "broken", QUEUE] {
            insert_in(&mut client, queue, 0.0, queue);
        }
        client
            .batch_execute("update pgq.queue set queue_disable_insert = true where queue_name = 'closed'")
            .expect("set");
        let broken = "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$; \
             do $$ begin for part in 0 .. 2 loop execute format('create trigger no before insert on pgq.event_3_%s \
                 for each row execute function no()', part); end loop; end $$";
        client.batch_execute(broken).expect("created");
        assert_eq!(deliver(&mut client), 1);
        assert_eq!(
            pgq::ticker::deliver_delayed_events(&mut client).expect_err("one is broken").queue(),
            Some("broken")
        );
        insert_in(&mut client, QUEUE, 0.0, "second");
        pgq::ticker::deliver_delayed_events(&mut client).expect_err("one is broken");
        assert_eq!(data(&mut client, QUEUE), [QUEUE, "second"]);
        client
            .batch_execute("update pgq.queue set queue_disable_insert = false where queue_name = 'closed'; drop function no() cascade")
            .expect("set");
        assert_eq!(pgq::ticker::deliver_delayed_events(&mut client).expect("delivered"), 2);
        assert_eq!(data(&mut client, "closed"), ["closed"]);
        assert_eq!(data(&mut client, "broken"), ["broken"]);
    }
}

#[test]
fn a_limit_on_transactions_limits_the_delivery() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        // The extension checks the limit only in functions that are not called here.
        client.execute("update pgq.queue set queue_per_tx_limit = 2", &[]).expect("set");
        for number in 0..5 {
            insert_in(&mut client, QUEUE, 0.0, &number.to_string());
        }
        let delivered: Vec<i32> = (0..4).map(|_| deliver(&mut client)).collect();
        assert_eq!(delivered, [2, 2, 1, 0]);
        client.execute("update pgq.queue set queue_per_tx_limit = 0", &[]).expect("set");
        insert_in(&mut client, QUEUE, 0.0, "none");
        assert_eq!(deliver(&mut client), 0);
    }
}

#[test]
fn dropping_a_queue_deletes_its_events_and_waits_for_those_who_store_some() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        queues::create(&mut client, "other");
        insert_in(&mut client, QUEUE, 3600.0, "gone");
        insert_in(&mut client, "other", 3600.0, "kept");
        let mut transaction = client.transaction().expect("begun");
        insert_in(&mut transaction, QUEUE, 0.0, "late");
        let mut dropper = database.client();
        dropper.batch_execute("set lock_timeout = '50ms'").expect("set");
        dropper.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect_err("the transaction uses the queue");
        transaction.commit().expect("committed");
        dropper.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect("dropped");
        let left =
            "select array_agg(ev_data), (select count(*) from pgq.delayed_mark) from pgq.delayed_queue";
        let row = client.query_one(left, &[]).expect("read");
        assert_eq!((row.get::<_, Vec<String>>(0), row.get::<_, i64>(1)), (vec!["kept".to_owned()], 1));
        queues::create(&mut client, QUEUE);
        assert_eq!((count(&mut client, QUEUE), deliver(&mut client)), (0, 0));
    }
}

#[test]
fn roles_do_what_is_documented_and_no_more() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let [reader, writer, other, admin, none] =
            ["reader", "writer", "other", "admin", "none"].map(|name| format!("later_{name}_{}", unique()));
        client
            .batch_execute(&format!(
                "create role {reader} in role pgq_reader; create role {writer} in role pgq_writer; \
                 create role {other} in role pgq_writer; create role {admin} in role pgq_admin; create role {none}"
            ))
            .expect("created");
        let by_superuser = insert_in(&mut client, QUEUE, 3600.0, "d");
        let mut may = |role: &str, call: &str| {
            client.batch_execute(&format!("set session authorization {role}")).expect("set");
            let result = client.batch_execute(&call.replace("QUEUE", &QUEUE.replace('\'', "''")));
            client.batch_execute("reset session authorization").expect("reset");
            result.map_err(|error| error.code().expect("the server's").code().to_owned())
        };
        let (ok, refused) = (Ok(()), Err("42501".to_owned()));
        let insert = "select pgq.insert_event_at('QUEUE', now() + '1 hour', 't', 'd')";
        let list = "select pgq.delayed_event_list('QUEUE'), pgq.delayed_event_count('QUEUE')";
        let maintain = "select pgq.maint_delayed_events()";
        let cancel_foreign = format!("select pgq.delayed_event_cancel('QUEUE', {by_superuser})");
        let cancel_own = format!("select pgq.delayed_event_cancel('QUEUE', {})", by_superuser + 1);
        let table = "select from pgq.delayed_queue; delete from pgq.delayed_mark";
        for (call, reads, writes, administers) in [
            (insert, &refused, &ok, &ok),
            (list, &ok, &refused, &ok),
            (maintain, &refused, &refused, &ok),
            ("select pgq._mark_delayed(null, false)", &refused, &refused, &ok),
            ("select pgq._deliver_delayed(1)", &refused, &refused, &ok),
            (table, &refused, &refused, &ok),
        ] {
            assert_eq!(&may(&none, call), &refused, "{kind}: {call}");
            assert_eq!(&may(&reader, call), reads, "{kind}: {call}");
            assert_eq!(&may(&writer, call), writes, "{kind}: {call}");
            assert_eq!(&may(&admin, call), administers, "{kind}: {call}");
        }
        assert_eq!(may(&other, &cancel_own), refused, "an event of another role");
        assert_eq!(may(&reader, &cancel_own), refused);
        assert_eq!(may(&writer, &cancel_own), ok);
        assert_eq!(may(&writer, &cancel_foreign), refused);
        assert_eq!(may(&admin, &cancel_foreign), ok);
        client
            .batch_execute(&format!("drop role {reader}, {writer}, {other}, {admin}, {none}"))
            .expect("no object or grant names them");
        assert_eq!(count(&mut client, QUEUE), 1, "the admin's");
    }
}

/// The ids of the server were set back, as `pg_resetwal` does: the mark has ids that the server has not reached.
#[test]
fn a_mark_with_ids_that_the_server_has_not_reached_does_not_count() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "marked");
        assert_eq!(deliver(&mut client), 1, "{kind}");
        let later = "insert into pgq.delayed_mark \
             select mark_queue, 1000, 'infinity', format('%s:%s:', id, id)::txid_snapshot, id \
             from pgq.delayed_mark, (select txid_current() + (1::bigint << 32)) later (id) limit 1";
        client.batch_execute(later).expect("inserted");
        insert_in(&mut client, QUEUE, 0.0, "found");
        assert_eq!(deliver(&mut client), 1, "{kind}");
    }
}
