//! Delayed events, listed, counted and cancelled.

use super::Place;
use crate::support::queues::{self, UNUSUAL};

#[test]
fn delayed_events_are_listed_counted_and_cancelled() {
    for mut place in Place::each() {
        queues::create(&mut place.client, "q");
        let insert = "select pgq.insert_event_at('q', '2040-01-02 03:04:05+00'::timestamptz - n * interval '1 day', \
             't', $1, null, null, null, null) from generate_series(1, 1001) n";
        place.client.execute(insert, &[&UNUSUAL]).expect("stored");
        let (out, log) = place.done(&["delayed", "list", "q"]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!((lines.len(), log.as_str()), (1002, ""));
        assert_eq!(lines[0], "id\tdue\ttype\textra1\trole\tdata");
        let unusual = "1\t2040-01-01T03:04:05Z\tt\t\\N\tpostgres\to'dd \"queue\" \\\\ %s $1 \\t\\n\\u{1}ünï";
        assert!(lines[1001].starts_with(unusual), "{}", lines[1001]);
        assert!(lines[1].starts_with("1001\t"), "{}", lines[1]);
        assert_eq!(place.done(&["delayed", "count", "q"]).0, "1001\n");

        place.refused(&["delayed", "cancel", "q", "1", "7777"], 1, "queue `q` has no delayed event 7777");
        assert_eq!(place.done(&["delayed", "count", "q"]).0, "1001\n");
        let log = place.done(&["delayed", "cancel", "q", "1", "2"]).1;
        assert!(log.contains("queue `q`: 2 delayed events cancelled"), "{log}");
        assert_eq!(place.done(&["delayed", "count", "q"]).0, "999\n");
        for (arguments, message) in [
            (&["delayed", "cancel", "q"][..], "no event given"),
            (&["delayed", "cancel", "q", "x"], "`x` is not the id of an event"),
            (&["delayed", "list", "q", "1"], "`delayed list` takes no events"),
        ] {
            place.refused(arguments, 2, message);
        }
        for action in ["count", "list"] {
            place.refused(&["delayed", action, "nope"], 1, "queue `nope` does not exist");
        }
        place.refused(
            &["drop", "q"],
            2,
            "drop queue `q` with 0 events, 999 delayed events and no consumers?",
        );
    }
}
