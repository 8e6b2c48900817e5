//! Installing, updating, dumping and removing the store of delayed events.

use std::fs;

use pgq::schema::{self, SchemaChange};

use super::scheduled::{insert, make_due, schedule};
use super::*;
use crate::support::programs::succeed;

#[test]
fn a_dump_has_the_events_and_installing_again_completes_it() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "due");
        insert_in(&mut client, QUEUE, 3600.0, "later");
        schedule(&mut client, QUEUE, "scheduled", "@yearly");
        let next = pgq::admin::scheduled_events(&mut client, None).expect("listed");
        insert_in(&mut client, QUEUE, -5.0, "delivered");
        client
            .batch_execute("update pgq.delayed_queue set ev_due = '2020-01-01' where ev_data = 'delivered'")
            .expect("set");
        client.batch_execute("update pgq.queue set queue_per_tx_limit = 1").expect("set");
        assert_eq!(deliver(&mut client), 1);
        assert_eq!(data(&mut client, QUEUE), ["delivered"]);
        client.batch_execute("update pgq.queue set queue_per_tx_limit = null").expect("set");
        let restored = Database::create_for(kind, "later_restored");
        let server = database.server();
        let dump =
            server.client_program("pg_dump").arg("-d").arg(database.conninfo()).output().expect("runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("dump.sql");
        fs::write(&file, &dump.stdout).expect("writable");
        let mut psql = server.client_program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg("-d").arg(restored.conninfo());
        succeed(&mut psql);

        let mut client = restored.client();
        schema::install(&mut client).expect("completed");
        assert_eq!(count(&mut client, QUEUE), 2);
        assert_eq!(pgq::admin::scheduled_events(&mut client, None).expect("listed"), next, "{kind}");
        make_due(&mut client);
        assert_eq!(insert(&mut client), 1, "{kind}");
        schedule(&mut client, QUEUE, "new", "@yearly");
        assert_eq!(deliver(&mut client), 1);
        assert_eq!(data(&mut client, QUEUE).last().map(String::as_str), Some("due"));
        let id = insert_in(&mut client, QUEUE, 0.0, "new");
        assert!(id > 3, "ids go on");
        assert_eq!((deliver(&mut client), count(&mut client, QUEUE)), (1, 1));
        client.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect("dropped");
        for table in ["delayed_queue", "scheduled_event", "scheduled_time"] {
            let left = client.query_one(&format!("select count(*) from pgq.{table}"), &[]).expect("read");
            assert_eq!(left.get::<_, i64>(0), 0, "{kind}: {table}");
        }
    }
}

#[test]
fn installing_again_keeps_events_and_repairs_the_add_on() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "kept");
        for damage in [
            "drop trigger later_cleanup on pgq.queue",
            "comment on table pgq.delayed_queue is 'Delayed events of PgQ, release 0, 0'",
            "drop function pgq._later_release(); comment on table pgq.delayed_queue is null",
            "grant execute on function pgq.insert_event_at(text, timestamptz, text, text) to public",
        ] {
            client.batch_execute(damage).expect(damage);
            let report = queues::install_as(&mut client, kind);
            if !damage.starts_with("grant") {
                assert_ne!(report.extras, Some(SchemaChange::Unchanged), "{kind}: {damage}");
            }
        }
        let report = queues::install_as(&mut client, kind);
        assert_eq!(report.extras, Some(SchemaChange::Unchanged), "{kind}");
        assert_eq!((count(&mut client, QUEUE), deliver(&mut client)), (1, 1));
    }
}

/// The first release had no schedules.
#[test]
fn the_first_release_gets_schedules_and_keeps_its_events() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "kept");
        let first_release = "drop table pgq.scheduled_event, pgq.scheduled_time cascade; \
             drop function pgq._scheduled_state, pgq._earliest_scheduled, pgq._insert_scheduled, pgq._set_scheduled_time, \
                 pgq.schedule_event, pgq.unschedule_event, pgq.scheduled_event_list; \
             comment on table pgq.delayed_queue is 'Delayed events of PgQ, release 1, 0123456789abcdef'";
        client.batch_execute(first_release).expect("removed");
        assert_eq!(insert(&mut client), 0, "{kind}");
        assert_eq!(pgq::ticker::deliver_delayed_events(&mut client).expect("delivered"), 1, "{kind}");
        let report = queues::install_as(&mut client, kind);
        assert_eq!(report.extras, Some(SchemaChange::Updated), "{kind}");
        schedule(&mut client, QUEUE, "new", "@yearly");
        make_due(&mut client);
        assert_eq!(insert(&mut client), 1, "{kind}");
        assert_eq!(data(&mut client, QUEUE), ["kept", "new"], "{kind}");
    }
}

#[test]
fn uninstalling_removes_everything_and_lists_nothing_of_its_own() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        insert_in(&mut client, QUEUE, 0.0, "gone");
        schedule(&mut client, QUEUE, "gone", "@yearly");
        let contents = schema::contents(&mut client).expect("read").expect("installed");
        assert!(contents.dependents.is_empty() && contents.triggers.is_empty(), "{kind}: {contents}");
        assert_eq!(schema::uninstall(&mut client).expect("removed"), Some(kind));
        let left = "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'pgq'";
        assert_eq!(client.query_one(left, &[]).expect("read").get::<_, i64>(0), 0);
    }
}
