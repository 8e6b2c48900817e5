//! Events that are inserted once: the rights of roles, and the functions of this crate.

use super::*;
use crate::support::unique;

#[test]
fn roles_call_what_they_may() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        queues::create(&mut client, "q");
        let [reader, writer, admin] =
            ["reader", "writer", "admin"].map(|name| format!("once_{name}_{}", unique()));
        for name in [&reader, &writer, &admin] {
            let group = name.split('_').nth(1).expect("a group");
            client.batch_execute(&format!("create role {name} in role pgq_{group}")).expect("created");
        }
        let mut may = |role: &str, call: &str| {
            client.batch_execute(&format!("set role {role}")).expect("set");
            let result = client.batch_execute(call).is_ok();
            client.batch_execute("reset role").expect("reset");
            result
        };
        let insert = "select pgq.insert_event_once('q', 'k', '1 day', 't', 'd')";
        for (call, expected) in [
            (insert, [false, true, true]),
            ("select pgq.maint_event_keys()", [false, false, true]),
            ("select from pgq.event_key_0", [false, false, true]),
            ("select pgq._event_key_find('{0}', 1, 'k', now())", [false, false, false]),
            ("select pgq._event_key_claim(0, 1, 'k', 1, now(), now())", [false, false, false]),
        ] {
            assert_eq!([&reader, &writer, &admin].map(|role| may(role, call)), expected, "{kind}: {call}");
        }
        client.batch_execute(&format!("drop role {reader}, {writer}, {admin}")).expect("dropped");
    }
}

#[test]
fn functions_of_the_crate_return_the_id() {
    use std::time::Duration;

    use pgq::NewEvent;
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let (event, day) = (NewEvent::new("t", "d").extra2("e"), Duration::from_secs(86_400));
        let first = pgq::insert_event_once(&mut client, QUEUE, "k", day, &event).expect("inserted");
        assert!(first.is_new);
        let again = pgq::insert_event_once(&mut client, QUEUE, "k", day, &event).expect("found");
        assert_eq!((again.id, again.is_new), (first.id, false));
        let conninfo = database.conninfo();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let by_tokio = runtime.block_on(async {
            let client = crate::tokio_producer::connect(&conninfo).await;
            pgq::tokio::insert_event_once(&client, QUEUE, "k", day, &event).await.expect("found")
        });
        assert_eq!(by_tokio, again);
        let error = pgq::insert_event_once(&mut client, "nope", "k", day, &event).expect_err("no queue");
        assert!(error.kind() == pgq::ErrorKind::Missing, "{error:?}");
        let error =
            pgq::insert_event_once(&mut client, QUEUE, "k", Duration::ZERO, &event).expect_err("no time");
        assert!(error.kind() == pgq::ErrorKind::Failed, "{error:?}");
        let delayed = NewEvent::new("t", "d").at(chrono::Utc::now());
        let error = pgq::insert_event_once(&mut client, QUEUE, "k", day, &delayed).expect_err("delayed");
        assert!(error.kind() == pgq::ErrorKind::Usage, "{error:?}");
    }
    let (_database, mut client) = templates::bare("later");
    queues::create(&mut client, QUEUE);
    let event = NewEvent::new("t", "d");
    let error = pgq::insert_event_once(&mut client, QUEUE, "k", Duration::from_secs(1), &event);
    let error = error.expect_err("not installed");
    assert!(error.kind() == pgq::ErrorKind::Missing && error.to_string().contains("install"), "{error:?}");
}
