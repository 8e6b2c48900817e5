//! The roles that may schedule events, and list and remove schedules.

use super::*;
use crate::support::unique;

#[test]
fn roles_do_what_is_documented_and_no_more() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let [reader, writer, other, admin, none] = ["reader", "writer", "other", "admin", "none"]
            .map(|name| format!("scheduled_{name}_{}", unique()));
        client
            .batch_execute(&format!(
                "create role {reader} in role pgq_reader; create role {writer} in role pgq_writer; \
                 create role {other} in role pgq_writer; create role {admin} in role pgq_admin; create role {none}"
            ))
            .expect("created");
        let mut may = |role: &str, call: &str| {
            client.batch_execute(&format!("set session authorization {role}")).expect("set");
            let result = client.batch_execute(&call.replace("QUEUE", &QUEUE.replace('\'', "''")));
            client.batch_execute("reset session authorization").expect("reset");
            result.map_err(|error| error.code().expect("the server's").code().to_owned())
        };
        let (ok, refused) = (Ok(()), Err("42501".to_owned()));
        let schedule = |name: &str, data: &str| {
            format!(
                "select pgq.schedule_event('QUEUE', '{name}', '@daily', 'UTC', null, 't', '{data}', null, null, null, null)"
            )
        };
        let remove = |name: &str| format!("select pgq.unschedule_event('QUEUE', '{name}')");
        let table = "select from pgq.scheduled_event; delete from pgq.scheduled_time where false";
        for (call, reads, writes, administers) in [
            (&*schedule("any", "d"), &refused, &ok, &ok),
            (&remove("missing"), &refused, &ok, &ok),
            ("select pgq.scheduled_event_list(null), pgq.scheduled_event_list('QUEUE')", &ok, &refused, &ok),
            ("select pgq._scheduled_state()", &refused, &refused, &ok),
            ("select pgq._earliest_scheduled()", &refused, &refused, &ok),
            ("select pgq._insert_scheduled(1, 0, now())", &refused, &refused, &ok),
            ("select pgq._set_scheduled_time(0, 0, now())", &refused, &refused, &ok),
            ("select pgq._scheduled_event_owner(null, 'q')", &refused, &refused, &refused),
            (table, &refused, &refused, &ok),
        ] {
            assert_eq!(&may(&none, call), &refused, "{kind}: {call}");
            assert_eq!(&may(&reader, call), reads, "{kind}: {call}");
            assert_eq!(&may(&writer, call), writes, "{kind}: {call}");
            assert_eq!(&may(&admin, call), administers, "{kind}: {call}");
        }
        // The schedule belongs to the writer, also after the administrator has replaced it.
        assert_eq!(may(&other, &schedule("any", "other")), refused, "{kind}: a schedule of another role");
        assert_eq!(may(&other, &remove("any")), refused, "{kind}");
        assert_eq!(may(&other, &format!("set role {other}; {}", remove("any"))), refused, "{kind}");
        assert_eq!(may(&admin, &schedule("any", "admin")), ok, "{kind}");
        assert_eq!(may(&writer, &schedule("any", "writer")), ok, "{kind}");
        assert_eq!(may(&other, &schedule("own", "d")), ok, "{kind}");
        assert_eq!(may(&admin, &remove("own")), ok, "{kind}");
        assert_eq!(may(&writer, &remove("any")), ok, "{kind}");
        client
            .batch_execute(&format!("drop role {reader}, {writer}, {other}, {admin}, {none}"))
            .expect("no object or grant names them");
    }
}
