//! Questions at a real terminal, which `script` makes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use postgres::{Client, NoTls};

use super::Place;
use crate::support::programs::program;
use crate::support::queues;

/// Runs the program at a terminal, waits for its question and types the answer; returns the exit status and the content
/// of the terminal.
fn answered(place: &Place, arguments: &[&str], typed: impl AsRef<[u8]>) -> (Option<i32>, String) {
    answered_after(place, arguments, typed, || ())
}

/// As [`answered`], but does something while the person thinks.
fn answered_after(
    place: &Place,
    arguments: &[&str],
    typed: impl AsRef<[u8]>,
    meanwhile: impl FnOnce(),
) -> (Option<i32>, String) {
    let program = program("pgqadm");
    // A shell that stayed in between would take part in an interrupt, and answer with a status of its own.
    let line = format!("exec '{}' adm.ini {}", program.display(), arguments.join(" "));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` is installed: run `scripts/setup`");
    let mut keyboard = child.stdin.take().expect("piped");
    let mut screen = child.stdout.take().expect("piped");
    let mut shown = Vec::new();
    let mut byte = [0];
    while !shown.ends_with(b"[y/N] ") && screen.read(&mut byte).expect("readable") == 1 {
        shown.push(byte[0]);
    }
    meanwhile();
    keyboard.write_all(typed.as_ref()).expect("writable");
    keyboard.flush().expect("writable");
    screen.read_to_end(&mut shown).expect("readable");
    let status = child.wait().expect("it ends").code();
    drop(keyboard);
    (status, String::from_utf8_lossy(&shown).into_owned())
}

const STATE: &str =
    "select (select count(*) from pgq.failed_queue) || ' at ' || sub_last_tick from pgq.subscription";

/// Gives a consumer an event that waits for a retry.
fn schedule_retry(client: &mut Client, consumer: &str) {
    client
        .execute(
            "select pgq.event_retry_raw('q', $1, now(), 7, now(), 1, 't', 'd', null, null, null, null)",
            &[&consumer],
        )
        .expect("scheduled");
}

/// Every way of not saying yes: another answer, an empty one, one that is no text, the end of the input, and an
/// interrupt.
const NO: [&[u8]; 6] = [b"n\n", b"\n", b"yesterday\n", b"\xff\xfe\n", b"\x04", b"\x03"];

#[test]
fn a_queue_is_dropped_after_a_yes_only() {
    for mut place in Place::each() {
        place.done(&["create", "q", "r"]);
        place.done(&["register", "q", "a"]);
        queues::insert(&mut place.client, "q", 1, 1);
        schedule_retry(&mut place.client, "a");
        for typed in NO {
            let (status, shown) = answered(&place, &["drop", "q"], typed);
            assert_eq!(status, Some(1), "{typed:?}: {shown}");
            let question = "drop queue `q` with 1 event, 1 retry event and consumer `a`? [y/N] ";
            assert!(shown.starts_with(question), "{shown}");
            assert!(shown.contains("not confirmed, nothing is changed"), "{typed:?}: {shown}");
            assert_eq!(place.value("select count(*) from pgq.queue"), "2");
        }
        let (status, shown) = answered(&place, &["drop", "q"], "y\n");
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("queue `q`: dropped"), "{shown}");
        let (status, shown) = answered(&place, &["drop", "r"], "YES\n");
        assert_eq!(status, Some(0), "{shown}");
        assert_eq!(place.value("select count(*) from pgq.queue"), "0");
    }
}

#[test]
fn an_unforced_yes_does_not_cover_consumers_that_came_since() {
    for mut place in Place::each() {
        place.done(&["create", "q"]);
        for known in ["early", "later"] {
            let conninfo = place.database.conninfo();
            let (status, shown) = answered_after(&place, &["drop", "q"], "y\n", || {
                let mut client = Client::connect(&conninfo, NoTls).expect("connected");
                pgq::admin::register_consumer(&mut client, "q", known).expect("registered");
            });
            assert_eq!(status, Some(1), "{shown}");
            assert!(shown.contains(&format!("consumer `{known}` has registered since")), "{shown}");
            assert_eq!(place.value("select count(*) from pgq.queue"), "1");
        }
        assert_eq!(answered(&place, &["drop", "q"], "y\n").0, Some(0));
    }
}

#[test]
fn a_name_does_not_forge_a_question() {
    let mut place = Place::create(super::KINDS[0]);
    place.done(&["create", "q"]);
    let name = "a`? [y/N] \r\u{1b}[2Kkeep queue `x";
    pgq::admin::register_consumer(&mut place.client, "q", name).expect("registered");
    let (status, shown) = answered(&place, &["drop", "q"], "n\n");
    assert_eq!(status, Some(1), "{shown}");
    assert!(
        !shown.contains('\u{1b}') && shown.contains("a`? [y/N] \\r\\u{1b}[2Kkeep queue `x`? [y/N] "),
        "{shown}"
    );
}

#[test]
fn a_schema_is_removed_after_a_yes_only() {
    for mut place in Place::each() {
        place.done(&["create", "q"]);
        let (status, shown) = answered(&place, &["uninstall"], "n\n");
        assert_eq!(status, Some(1), "{shown}");
        assert!(shown.starts_with("permanently remove schema pgq (1 queue with 0 consumers)"), "{shown}");
        assert_eq!(place.value("select count(*) from pgq.queue"), "1");
        assert_eq!(answered(&place, &["uninstall"], "y\n").0, Some(0));
        let (_, log) = place.done(&["uninstall"]);
        assert!(log.contains("pgq: not installed") && log.contains("pgq_ext: not installed"), "{log}");
    }
}

#[test]
fn failed_events_are_deleted_and_consumers_moved_after_a_yes_only() {
    let mut place = Place::create(super::KINDS[0]);
    queues::create(&mut place.client, "q");
    pgq::admin::register_consumer(&mut place.client, "q", "c").expect("registered");
    queues::insert(&mut place.client, "q", 1, 2);
    let tick = queues::tick(&mut place.client, "q").to_string();
    let fail = "select pgq.event_failed(batch, n, 'why') from pgq.next_batch('q', 'c') batch, generate_series(1, 2) n";
    place.client.query(fail, &[]).expect("failed");
    for arguments in [
        &["failed", "purge", "q", "c"][..],
        &["failed", "delete", "q", "c", "1"],
        &["unregister", "q", "c"],
        &["register", "q", "c", "--at", &tick],
    ] {
        let before = place.value(STATE);
        let (status, shown) = answered(&place, arguments, "n\n");
        assert_eq!(status, Some(1), "{arguments:?}: {shown}");
        let after = place.value(STATE);
        assert_eq!(before, after, "{arguments:?}");
    }
    assert_eq!(answered(&place, &["register", "q", "c", "--at", &tick], "y\n").0, Some(0));
    assert_eq!(queues::position(&mut place.client, "q", "c").0.to_string(), tick);
    assert_eq!(answered(&place, &["failed", "delete", "q", "c", "1"], "y\n").0, Some(0));
    assert_eq!(answered(&place, &["failed", "purge", "q", "c"], "y\n").0, Some(0));
    assert_eq!(place.value("select count(*) from pgq.failed_queue"), "0");
}
