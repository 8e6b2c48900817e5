//! Queues whose tables a dump has left out: named everywhere, and created anew by `install`.

use pgq::schema::{self, Kind, SchemaChange};
use pgq::status::Status;
use postgres::Client;

use super::dependents::pgqadm;
use crate::support::{queues, templates};

/// Removes the objects that a dump of the data alone, or one that omits tables, does not restore.
const LOSSES: [&str; 3] = [
    "drop table pgq.event_1_1",
    "drop table pgq.event_1 cascade; drop sequence pgq.event_1_tick_seq",
    "drop table pgq.event_1 cascade; drop sequence pgq.event_1_id_seq, pgq.event_1_tick_seq",
];

/// Returns the columns, indexes, defaults and rights of a queue's tables, and the rights of its sequences.
fn made(client: &mut Client, queue: i32) -> Vec<String> {
    let made = "select concat_ws(' ', relname, relkind, relacl::text, \
            (select string_agg(concat_ws(' ', attname, attnotnull, attislocal, pg_get_expr(adbin, adrelid)), ',' order by attnum) \
             from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum \
             where attrelid = c.oid and attnum > 0 and relkind = 'r'), reloptions::text, \
            (select string_agg(pg_get_indexdef(indexrelid), ',') from pg_index where indrelid = c.oid), \
            (select string_agg(inhparent::regclass::text, ',') from pg_inherits where inhrelid = c.oid)) \
        from pg_class c where relnamespace = 'pgq'::regnamespace and relkind in ('r', 'S') \
            and relname ~ ('^event_' || $1::int4 || '(_|$)') order by relname";
    client.query(made, &[&queue]).expect("readable").iter().map(|row| row.get(0)).collect()
}

#[test]
fn missing_tables_are_named_and_created_as_they_were() {
    for kind in [Kind::Own, Kind::Extension] {
        for loss in LOSSES {
            let (database, mut client) = templates::installed(kind, "missing");
            queues::create(&mut client, "q");
            queues::create(&mut client, "other");
            pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
            let before = made(&mut client, 1);
            client.batch_execute(loss).expect("lost");
            let status = Status::read(&mut client).expect("readable");
            assert_eq!(status.queues.len(), 2, "{loss} on {kind}");
            let lost = "queue `q`: `pgq.event_1_";
            for (command, expected) in [(&["check"][..], 2), (&["create", "q"], 0), (&["repair"], 1)] {
                let (code, said) = pgqadm(&database, command);
                assert!(
                    code == Some(expected) && said.contains(lost),
                    "{command:?}: {loss} on {kind}: {said}"
                );
            }
            let report = schema::install_as(&mut client, Some(kind)).expect("repaired");
            assert_eq!(report.change, SchemaChange::Updated, "{loss} on {kind}");
            assert_eq!(made(&mut client, 1), before, "{loss} on {kind}");
            assert_eq!(
                pgq::admin::integrity::inspect(&mut client).expect("readable"),
                [],
                "{loss} on {kind}"
            );
            queues::insert(&mut client, "q", 1, 2);
            queues::tick(&mut client, "q");
            let events = "select count(*) from pgq.get_batch_events(pgq.next_batch('q', 'c'))";
            assert_eq!(client.query_one(events, &[]).expect("readable").get::<_, i64>(0), 2);
            let again = schema::install_as(&mut client, Some(kind)).expect("there");
            assert_eq!(again.change, SchemaChange::Unchanged, "{loss} on {kind}");
        }
    }
}
