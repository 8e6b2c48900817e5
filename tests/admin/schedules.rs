//! Recurring events, scheduled, listed and removed.

use super::Place;
use crate::support::queues::{self, UNUSUAL};

#[test]
fn schedules_are_added_replaced_listed_and_removed() {
    for mut place in Place::each() {
        queues::create(&mut place.client, "q");
        queues::create(&mut place.client, "r");
        let add = [
            "schedule",
            "q",
            "s",
            "30 6 1 1 *",
            "type",
            UNUSUAL,
            "--zone",
            "europe/berlin",
            "--extra1",
            "1",
            "--extra4",
            "4",
        ];
        let log = place.done(&add).1;
        assert!(
            log.contains("queue `q`: schedule `s` added, `30 6 1 1 *` in Europe/Berlin, next at 2"),
            "{log}"
        );
        assert!(log.trim_end().ends_with("-01-01T05:30:00Z"), "{log}");
        assert!(place.done(&add).1.contains("schedule `s` not changed"));
        assert!(place.done(&add[..10]).1.contains("schedule `s` replaced"));
        let extras = "select concat_ws(',', ev_extra1, coalesce(ev_extra2, 'null'), coalesce(ev_extra4, 'null')) from pgq.scheduled_event";
        assert_eq!(place.value(extras), "1,null,null");
        let long = "x".repeat(61);
        place.done(&["schedule", "r", "long", "@hourly", "", &long]);
        place
            .client
            .batch_execute("update pgq.scheduled_time set next_time = null where next_event = (select max(ev_id) from pgq.scheduled_event)")
            .expect("set");

        let (out, log) = place.done(&["schedules"]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!((lines.len(), log.as_str()), (3, ""));
        assert_eq!(lines[0], "queue\tname\tcron\tzone\tnext\ttype\tdata");
        assert!(lines[1].starts_with("q\ts\t30 6 1 1 *\tEurope/Berlin\t2"), "{}", lines[1]);
        assert!(
            lines[1].contains("T05:30:00Z\ttype\to'dd \"queue\" \\\\ %s $1 \\t\\n\\u{1}ünï"),
            "{}",
            lines[1]
        );
        assert_eq!(lines[2], format!("r\tlong\t@hourly\tUTC\t\\N\t\t{}…", &long[..60]));
        assert_eq!(place.done(&["schedules", "r"]).0.lines().count(), 2);
        place.refused(&["schedules", "nope"], 1, "queue `nope` does not exist; there are `q`, `r`");
        place.refused(&["drop", "q"], 2, "drop queue `q` with 0 events, 1 schedule and no consumers?");

        let log = place.done(&["unschedule", "q", "s"]).1;
        assert!(log.contains("queue `q`: schedule `s` removed"), "{log}");
        place.refused(&["unschedule", "q", "s"], 1, "queue `q` has no schedule `s`");
        place.refused(&["unschedule", "nope", "s"], 1, "queue `nope` does not exist");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    for mut place in Place::each() {
        queues::create(&mut place.client, "q");
        let schedule = |queue, cron, zone| ["schedule", queue, "s", cron, "t", "d", "--zone", zone];
        for (queue, cron, zone, status, message) in [
            ("q", "0 0 6 * * *", "UTC", 2, "invalid cron pattern `0 0 6 * * *`: it must have five fields"),
            ("q", "61 * * * *", "UTC", 2, "invalid cron pattern `61 * * * *`"),
            ("q", "0 0 31 2 *", "UTC", 2, "no date matches it"),
            ("q", "@daily", "Europe/Nowhere", 2, "unknown time zone `Europe/Nowhere`"),
            ("nope", "@daily", "UTC", 1, "queue `nope` does not exist"),
        ] {
            place.refused(&schedule(queue, cron, zone), status, message);
        }
        place.refused(&["schedule", "q", "s", "@daily", "t"], 2, "schedule");
        let role = place.as_role("in role pgq_reader");
        place.refused(&schedule("q", "@daily", "UTC"), 1, "permission denied for function schedule_event");
        drop(role);
        let owner = place.as_role("in role pgq_writer");
        place.done(&schedule("q", "@daily", "UTC"));
        let other = place.as_role("in role pgq_writer");
        let message = format!("schedule `s` of queue `q` belongs to role `{}`", owner.name);
        place.refused(&schedule("q", "@hourly", "UTC"), 1, &message);
        place.refused(&["unschedule", "q", "s"], 1, &message);
        drop((owner, other));
        assert_eq!(place.value("select ev_cron from pgq.scheduled_event"), "@daily");
    }
}
