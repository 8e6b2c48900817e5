//! Failed events, listed and handled.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::Place;
use crate::support::amount::pick;
use crate::support::programs::succeed;
use crate::support::queues::{self, UNUSUAL};

const IDS: &str = "select string_agg(ev_id::text, ',' order by ev_id) from pgq.failed_queue";

/// Makes a queue with a consumer `c` that has given up events with the ids from 1 on.
fn failed(place: &mut Place, count: i64) {
    let client = &mut place.client;
    queues::create(client, "q");
    pgq::admin::register_consumer(client, "q", "c").expect("registered");
    client
        .execute(
            "insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_owner, ev_retry, \
             ev_type, ev_data) select 'why', now() - n * interval '1 day', n, now(), sub_id, 2, 'type', 'event ' || n \
             from pgq.subscription, generate_series(1, $1::int8) n",
            &[&count],
        )
        .expect("inserted");
}

#[test]
fn failed_events_are_listed_one_on_a_line() {
    for mut place in Place::each() {
        failed(&mut place, 3);
        place
            .client
            .execute(
                "update pgq.failed_queue set ev_failed_time = '2026-01-02 03:04:05.6+00', ev_data = $1, \
                 ev_failed_reason = null, ev_extra1 = e'a\\tb' where ev_id = 2",
                &[&UNUSUAL],
            )
            .expect("updated");
        let (out, log) = place.done(&["failed", "list", "q", "c"]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!((lines.len(), log.as_str()), (4, ""), "{out}");
        assert_eq!(lines[0], "id\tfailed\tretries\ttype\textra1\treason\tdata");
        assert!(lines[1].starts_with("1\t") && lines[1].ends_with("Z\t2\ttype\t\\N\twhy\tevent 1"), "{out}");
        let unusual =
            "2\t2026-01-02T03:04:05Z\t2\ttype\ta\\tb\t\\N\to'dd \"queue\" \\\\ %s $1 \\t\\n\\u{1}ünï";
        assert!(lines[2].starts_with(unusual), "{out}");
        assert_eq!(place.done(&["failed", "count", "q", "c"]).0, "3\n");
    }
}

#[test]
fn named_events_are_changed_together_or_not_at_all() {
    for mut place in Place::each() {
        failed(&mut place, 6);
        place.refused(&["failed", "retry", "q", "c", "2", "77", "4"], 1, "event 77");
        place.refused(&["failed", "delete", "q", "c", "2", "77", "--force"], 1, "event 77");
        place.refused(
            &["failed", "delete", "q", "c", "2", "3"],
            2,
            "delete 2 failed events, of consumer `c`",
        );
        assert_eq!(place.value(IDS), "1,2,3,4,5,6");

        let (_, log) = place.done(&["failed", "retry", "q", "c", "4", "2", "4"]);
        assert!(log.contains("2 failed events returned to the queue"), "{log}");
        let (_, log) = place.done(&["failed", "delete", "q", "c", "6", "--force"]);
        assert!(log.contains("1 failed event deleted"), "{log}");
        assert_eq!(place.value(IDS), "1,3,5");

        queues::tick(&mut place.client, "q");
        let events = "select string_agg(ev_id || ' ' || ev_data || ' ' || ev_retry, ',' order by ev_id) \
                      from pgq.get_batch_events(pgq.next_batch('q', 'c'))";
        assert_eq!(place.value(events), "2 event 2 3,4 event 4 3");
    }
}

#[test]
fn all_events_are_changed_in_pages() {
    for mut place in Place::each() {
        failed(&mut place, 2500);
        let transactions = "select count(distinct xmin::text) from pgq.event_1";
        let (_, log) = place.done(&["failed", "retry", "q", "c", "--all"]);
        assert!(log.contains("2500 failed events returned to the queue"), "{log}");
        assert_eq!(place.value(transactions), "3");
        queues::tick(&mut place.client, "q");
        let read = "select count(*) from pgq.get_batch_events(pgq.next_batch('q', 'c'))";
        assert_eq!((place.value(read), place.value(IDS)), ("2500".to_owned(), String::new()));
        let (_, log) = place.done(&["failed", "retry", "q", "c", "--all"]);
        assert!(log.contains(" 0 failed events returned to the queue"), "{log}");
    }
}

#[test]
fn events_are_deleted_by_age_or_all() {
    for mut place in Place::each() {
        failed(&mut place, 2100);
        place.refused(
            &["failed", "purge", "q", "c", "--older-than", "10 days 12 hours"],
            2,
            "delete those of 2100 failed events that are older than 10 days 12 hours",
        );
        place.refused(&["failed", "purge", "q", "c"], 2, "delete all 2100 failed events");
        place.refused(&["failed", "delete", "q", "c", "--all"], 2, "delete all 2100 failed events");
        place.refused(
            &["failed", "purge", "q", "c", "--older-than", "long ago", "--force"],
            2,
            "invalid interval `long ago`",
        );
        assert_eq!(place.done(&["failed", "count", "q", "c"]).0, "2100\n");
        let purge = ["failed", "purge", "q", "c", "--older-than", "10 days 12 hours", "--force"];
        assert!(place.done(&purge).1.contains("2090 failed events deleted"));
        assert_eq!(place.value(IDS), "1,2,3,4,5,6,7,8,9,10");
        assert!(
            place.done(&["failed", "delete", "q", "c", "--all", "--force"]).1.contains(" 10 failed events")
        );
        assert_eq!(place.value(IDS), "");
        assert!(place.done(&["failed", "purge", "q", "c"]).1.contains(" 0 failed events deleted"));
    }
}

#[test]
fn an_unconfirmed_command_changes_nothing() {
    for mut place in Place::each() {
        failed(&mut place, 3);
        for (arguments, text) in [
            (&["failed", "retry", "q", "c"][..], "no event given"),
            (&["failed", "delete", "q", "c", "--force"], "no event given"),
            (&["failed", "delete", "q", "c", "1", "--all", "--force"], "--all excludes event ids"),
            (&["failed", "delete", "q", "c", "--all", "--older-than", "1 day", "--force"], "`failed purge`"),
            (&["failed", "purge", "q", "c", "--all", "--older-than", "1 day", "--force"], "`failed purge`"),
            (&["failed", "retry", "q", "c", "one"], "`one` is not the id of an event"),
            (&["failed", "purge", "q", "c", "1", "--force"], "`failed purge` takes no events"),
            (&["failed", "list", "q", "c", "1"], "`failed list` takes no events"),
            (&["failed", "burn", "q", "c"], "command `failed` takes list|count|retry|delete|purge"),
            (&["failed", "list", "q"], "command `failed` takes"),
        ] {
            place.refused(arguments, 2, text);
        }
        place.refused(&["failed", "list", "nope", "c"], 1, "queue `nope` does not exist; there are `q`");
        place.refused(
            &["failed", "purge", "q", "nope", "--force"],
            1,
            "consumer `nope` is not registered; there are `c`",
        );
        // Impossible requests are refused without a question.
        place.refused(&["failed", "delete", "q", "c", "1", "77"], 1, "event 77");
        place.refused(
            &["failed", "purge", "q", "c", "--older-than", "long ago"],
            2,
            "invalid interval `long ago`",
        );
        let unrelated = place.as_role("");
        place.refused(&["failed", "purge", "q", "c", "--force"], 1, "permission denied");
        drop(unrelated);
        assert_eq!(place.value(IDS), "1,2,3");
        let _reader = place.as_role("in role pgq_reader");
        place.done(&["failed", "delete", "q", "c", "1", "--force"]);
        assert_eq!(place.done(&["failed", "list", "q", "c"]).0.lines().count(), 3);
    }
}

#[test]
fn a_queue_that_takes_no_events_keeps_the_failed_ones() {
    for mut place in Place::each() {
        failed(&mut place, 3);
        place.done(&["config", "q", "disable_insert=true"]);
        place.refused(&["failed", "retry", "q", "c", "--all"], 1, "cannot retry failed events");
        place.refused(&["failed", "retry", "q", "c", "1"], 1, "cannot retry failed events");
        assert_eq!(place.value(IDS), "1,2,3");
    }
}

#[test]
fn an_older_store_is_brought_up_to_date() {
    for mut place in Place::each() {
        failed(&mut place, 3);
        let older = "drop function pgq.failed_event_page, pgq.failed_event_retry_many; \
                     comment on table pgq.failed_queue is 'Failed events of PgQ, release 1, 0123456789abcdef'";
        place.client.batch_execute(older).expect("dropped");
        place.refused(&["failed", "retry", "q", "c", "1"], 1, "`pgqadm CONFIG.ini install`");
        place.done(&["install", "pgq"]);
        place.done(&["failed", "retry", "q", "c", "1"]);
        assert_eq!(place.value(IDS), "2,3");
    }
}

#[test]
fn a_list_of_any_length_takes_little_memory() {
    let mut place = Place::create(super::KINDS[0]);
    let many = pick(8_000, 12_000);
    failed(&mut place, many);
    place.client.execute("update pgq.failed_queue set ev_data = repeat('x', 6000)", &[]).expect("updated");
    let mut child = place
        .command(&["failed", "list", "q", "c"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // The rest does not fit into the pipe, so the program is still there.
    let most = usize::try_from(many).expect("small") - 100;
    assert_eq!(lines.by_ref().take(most).filter(Result::is_ok).count(), most);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 45_000, "{peak} kB for {many} events of 6 kB");
    assert_eq!(lines.count(), 101);
    assert!(child.wait().expect("it ends").success());

    // A reader that closes the pipe early is no failure.
    let head = "\"$0\" adm.ini failed list q c | head -n 2; exit ${PIPESTATUS[0]}";
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", head]).arg(crate::support::programs::program("pgqadm")).current_dir(place.path());
    assert_eq!(succeed(&mut bash).stdout.iter().filter(|byte| **byte == b'\n').count(), 2);
}
