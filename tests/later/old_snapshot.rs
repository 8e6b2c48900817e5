//! Under an old snapshot, calls visit as many pages as ever.

use super::*;
use crate::own_schema::old_snapshot::assert_steady;

/// Holds a snapshot.
fn hold(database: &Database) -> Client {
    let mut holder = database.client();
    holder.batch_execute("begin isolation level repeatable read; select from pgq.queue").expect("a snapshot");
    holder
}

#[test]
fn delayed_events_visit_as_many_pages_as_ever() {
    for kind in KINDS {
        let (database, mut client) = templates::installed(kind, "later");
        for queue in ["q", "closed"] {
            queues::create(&mut client, queue);
            insert_in(&mut client, queue, 0.0, "waits");
        }
        // A due event of a closed queue does not keep the mark of the others.
        client
            .batch_execute("update pgq.queue set queue_disable_insert = true where queue_name = 'closed'")
            .expect("set");
        let _holder = hold(&database);
        let round = [
            "select pgq.insert_event_at('q', now(), 'type', 'data')",
            "select pgq.maint_delayed_events()",
            "select pgq._mark_delayed(null, false)",
            "select pgq.delayed_event_cancel('q', pgq.insert_event_at('q', now() + '1 hour', 'type', 'data'))",
            "select pgq._mark_delayed(null, false)",
        ];
        assert_steady(&database, &mut client, &round, 2000);
    }
}

#[test]
fn recurring_events_visit_as_many_pages_as_ever() {
    for kind in KINDS {
        let (database, mut client) = templates::installed(kind, "later");
        queues::create(&mut client, "q");
        let schedule = "select pgq.schedule_event( \
             'q', 's', '@daily', 'UTC', now() + '1 hour', 'type', 'data', null, null, null, null)";
        client.batch_execute(schedule).expect("scheduled");
        let _holder = hold(&database);
        let number = "(select next_no from pgq._scheduled_state())";
        let round = [
            &*format!("select pgq._set_scheduled_time(1, {number}, now() - interval '1 second')"),
            "select pgq._earliest_scheduled()",
            &format!("select pgq._insert_scheduled(1, {number}, now() + interval '1 hour')"),
            "select pgq._earliest_scheduled()",
            schedule,
            "select from pgq.scheduled_event_list('q')",
        ];
        assert_steady(&database, &mut client, &round, 2000);
        assert!(queues::count(&mut client, "q") > 500, "{kind}: each round inserts an event");
    }
}

#[test]
fn events_once_visit_as_many_pages_as_ever() {
    for kind in KINDS {
        let (database, mut client) = templates::installed(kind, "later");
        queues::create(&mut client, "q");
        let _holder = hold(&database);
        let once =
            |key: &str| format!("select pgq.insert_event_once('q', ({key})::text, '1 day', 'type', 'data')");
        let (new, old) = (once("txid_current()"), once("txid_current() - 1"));
        assert_steady(&database, &mut client, &[&new, &old, "select pgq.maint_event_keys()"], 2000);
    }
}
