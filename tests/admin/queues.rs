//! Queues, created and dropped.

use super::Place;
use crate::support::queues::{self, UNUSUAL};

const QUEUES: &str = "select string_agg(queue_name, ',' order by queue_name) from pgq.queue";

#[test]
fn several_queues_are_created_or_none() {
    for mut place in Place::each() {
        let (_, log) = place.done(&["create", "a", "b", "a"]);
        for line in ["queue `a`: created", "queue `b`: created", "queue `a`: already exists"] {
            assert!(log.contains(line), "{log}");
        }
        place.refused(&["create", "c", ""], 2, "must not be empty");
        place.refused(&["create"], 2, "command `create` takes <queue>...");
        assert_eq!(place.value(QUEUES), "a,b");
    }
}

#[test]
fn without_a_terminal_a_queue_is_dropped_with_force_only() {
    for mut place in Place::each() {
        place.done(&["create", "q", "empty"]);
        place.done(&["register", "q", "b"]);
        place.done(&["register", "q", "a"]);
        queues::insert(&mut place.client, "q", 1, 12);
        let stakes = "drop queue `q` with 12 events and consumers `a`, `b`?";
        place.refused(&["drop", "q"], 2, stakes);
        place.refused(&["drop", "q"], 2, "--force");
        place.refused(&["drop", "empty"], 2, "drop queue `empty` with 0 events and no consumers?");
        assert_eq!(place.value(QUEUES), "empty,q");
        assert!(place.done(&["drop", "q", "--force"]).1.contains("queue `q`: dropped"));
        assert!(place.done(&["--force", "drop", "empty"]).1.contains("queue `empty`: dropped"));
        assert_eq!(place.value(QUEUES), "");
        assert!(place.done(&["drop", "q"]).1.contains("queue `q`: does not exist"));
        assert_eq!(place.value("select count(*) from pgq.subscription"), "0");
    }
}

#[test]
fn a_queue_with_consumers_is_not_dropped_unforced() {
    for mut place in Place::each() {
        place.done(&["create", UNUSUAL]);
        place.done(&["register", UNUSUAL, UNUSUAL]);
        let client = &mut place.client;
        let contents = pgq::admin::queue_contents(client, UNUSUAL).expect("readable").expect("there");
        assert_eq!((contents.events, &*contents.consumers), (Some(0), &[UNUSUAL.to_owned()][..]));
        let error = pgq::admin::drop_queue(client, UNUSUAL, pgq::admin::DropMode::RefuseConsumers)
            .expect_err("it has a consumer");
        assert!(error.kind() != pgq::ErrorKind::Missing && error.queue() == Some(UNUSUAL), "{error:?}");
        assert!(pgq::admin::drop_queue(client, UNUSUAL, pgq::admin::DropMode::Force).expect("dropped"));
        assert!(!pgq::admin::drop_queue(client, UNUSUAL, pgq::admin::DropMode::Force).expect("gone"));
        assert_eq!(pgq::admin::queue_contents(client, UNUSUAL).expect("readable"), None);
    }
}

#[test]
fn a_role_without_rights_drops_and_creates_nothing() {
    for mut place in Place::each() {
        place.done(&["create", "q"]);
        let reader = place.as_role("in role pgq_reader");
        place.refused(&["drop", "q", "--force"], 1, "permission denied");
        place.refused(&["create", "r"], 1, "permission denied");
        drop(reader);
        let unrelated = place.as_role("");
        place.refused(&["drop", "q", "--force"], 1, "permission denied");
        drop(unrelated);
        assert_eq!(place.value(QUEUES), "q");
        let _admin = place.as_role("in role pgq_admin");
        place.done(&["create", "r"]);
        place.done(&["drop", "r", "--force"]);
        assert_eq!(place.value(QUEUES), "q");
    }
}
