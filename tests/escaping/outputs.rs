//! The output of `pgqadm` for names that other roles have chosen.

use std::fs;
use std::process::Output;

use pgq::schema::Kind;

use super::{EVIL, assert_printable, printed};
use crate::support::programs::command_on;
use crate::support::templates;

#[test]
fn names_are_written_out_by_every_command() {
    let (database, _client) = templates::installed(Kind::Own, "escaping");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("adm.ini"), format!("[pgqadm]\ndb = {}\n", database.conninfo()))
        .expect("writable");
    let run = |arguments: &[&str]| -> Output {
        let mut command = command_on(database.server(), "pgqadm", folder.path());
        command.arg("adm.ini").args(arguments).output().expect("it starts")
    };
    let (queue, consumer) = (EVIL, EVIL);
    for (arguments, status) in [
        (&["create", queue][..], 0),
        (&["register", queue, consumer], 0),
        (&["register", queue, consumer], 0),
        (&["status"], 0),
        (&["status", "--json"], 0),
        (&["status", queue], 0),
        (&["status", EVIL.trim_start_matches('y')], 1),
        (&["config"], 0),
        (&["config", queue, "ticker_max_lag=5"], 0),
        (&["config", queue, &format!("{EVIL}=5")], 2),
        (&["config", queue, &format!("ticker_max_lag={EVIL}")], 2),
        (&["failed", "count", queue, consumer], 0),
        (&["failed", "list", queue, consumer], 0),
        (&["check", queue, "--consumer-lag=0,0"], 2),
        (&[EVIL], 2),
        (&["drop", queue], 2),
        (&["unregister", queue, consumer, "--force"], 0),
        (&["drop", queue, "--force"], 0),
    ] {
        let output = run(arguments);
        let text = printed(&output);
        assert_printable(&text);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    }
}

#[test]
fn json_of_the_status_is_json_still() {
    let (database, mut client) = templates::installed(Kind::Own, "escaping");
    pgq::admin::create_queue(&mut client, EVIL).expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("adm.ini"), format!("[pgqadm]\ndb = {}\n", database.conninfo()))
        .expect("writable");
    let mut command = command_on(database.server(), "pgqadm", folder.path());
    let output = command.args(["adm.ini", "status", "--json"]).output().expect("it starts");
    assert_printable(&printed(&output));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(status["queues"][0]["name"], EVIL);
    let status = pgq::status::Status::read(&mut client).expect("readable");
    let metrics = pgq::status::metrics::render(&[status], &[]);
    assert_printable(&metrics);
    assert!(metrics.contains(r#"queue="y\\u{1b}]0;PWNED\\u{7}"#), "{metrics}");
}
