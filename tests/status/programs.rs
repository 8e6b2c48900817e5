//! `pgqadm status` and `pgqadm check`.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::support::amount::pick;
use crate::support::programs::{command, errors, succeed};
use crate::support::wait_for;

/// A database with PgQ, and a folder with the file of `pgqadm`.
pub(super) struct Scene {
    pub(super) database: Database,
    pub(super) client: Client,
    pub(super) folder: TempDir,
}

impl Scene {
    /// Returns the table of a queue `mailer` with its consumer, and one with a long name.
    fn table(&mut self, kind: Kind, long: &str) -> String {
        let pad = " ".repeat(long.len());
        let version = &read(&mut self.client);
        format!(
            "Postgres version: {}   PgQ version: {} ({kind})   Database: {}\n\
             \n\
             Event queue{}   Rotation       Ticker   TLag   EPS   New\n\
             {long}    3/7200s   500/3s/60s     0s     -     0\n\
             mailer{}    3/7200s   500/3s/60s     0s     -     0\n\
             \n\
             Consumer{}   Lag   LastSeen   Pending   Failed   Retry\n\
             mailer:\n  \
               welcome{}    0s         0s         0        0       0\n",
            version.server_version,
            version.pgq_version,
            self.database.name(),
            &pad[11..],
            &pad[6..],
            &pad[8..],
            &pad[9..],
        )
    }

    pub(super) fn create(kind: Kind) -> Scene {
        let (database, client) = installed(kind);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scene = Scene { database, client, folder };
        scene.write_ini("");
        scene
    }

    pub(super) fn write_ini(&self, lines: &str) {
        let ini = format!("[pgqadm]\ndb = {}\n{lines}", self.database.conninfo());
        fs::write(self.folder.path().join("job.ini"), ini).expect("the folder is writable");
    }

    pub(super) fn pgqadm(&self, arguments: &[&str]) -> Command {
        let mut command = command("pgqadm", self.folder.path());
        command.arg("job.ini").args(arguments);
        command
    }

    fn print(&self, arguments: &[&str]) -> String {
        text(&succeed(&mut self.pgqadm(arguments)))
    }

    /// Runs `check`; returns its exit status and its output.
    fn check(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.pgqadm(&["check"]).args(arguments).output().expect("starts");
        assert_eq!(errors(&output), "");
        (output.status.code(), text(&output))
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_table_shows_queues_and_consumers() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        let empty = scene.print(&["status"]);
        let titles = "Event queue   Rotation   Ticker   TLag   EPS   New";
        assert_eq!(empty.lines().skip(1).collect::<Vec<_>>(), ["", titles]);

        let long = "a queue whose name is longer than any column was ever meant to be wide";
        for queue in ["mailer", long] {
            pgq::admin::create_queue(&mut scene.client, queue).expect("created");
        }
        pgq::admin::register_consumer(&mut scene.client, "mailer", "welcome").expect("registered");
        // A tick lag of whole seconds is as long as the program takes.
        scene.client.batch_execute("update pgq.tick set tick_time = now() + interval '1 hour'").expect("set");
        scene
            .client
            .batch_execute("update pgq.subscription set sub_active = now() + interval '1 hour'")
            .expect("set");
        let shown = scene.print(&["status"]);
        let expected = scene.table(kind, long);
        // The ticks from the future are named below.
        let (table, findings) = shown.split_once("\n! ").expect("findings");
        assert_eq!(table, expected);
        assert_eq!(findings.matches("in the future").count(), 2, "{findings}");
        let one = scene.print(&["status", "mailer"]);
        assert!(one.contains("\nmailer ") && !one.contains(long), "{one}");
    }
}

#[test]
fn a_missing_queue_or_schema_is_reported() {
    let scene = Scene::create(Kind::Own);
    let output = scene.pgqadm(&["status", "mailer"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("queue `mailer` does not exist"), "{}", errors(&output));
    scene.database.client().batch_execute("drop schema pgq cascade").expect("dropped");
    let output = scene.pgqadm(&["status"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("schema `pgq` is not installed"), "{}", errors(&output));
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The documented keys of the whole status.
const STATUS_KEYS: [&str; 11] = [
    "database",
    "findings",
    "format",
    "old_snapshots",
    "pgq_version",
    "queues",
    "schema",
    "server_version",
    "strangers_to_ticks",
    "tickers",
    "time",
];

/// The documented keys of a queue.
const QUEUE_KEYS: [&str; 13] = [
    "consumers",
    "disabled",
    "events_per_second",
    "external",
    "last_tick",
    "last_tick_event",
    "name",
    "new_events",
    "paused",
    "retry_events",
    "rotation",
    "ticker",
    "ticker_lag",
];

/// The documented keys of a consumer.
const CONSUMER_KEYS: [&str; 12] = [
    "batch",
    "cooperation",
    "failed_events",
    "holds_up_rotation",
    "lag",
    "last_seen",
    "last_tick",
    "last_tick_event",
    "name",
    "next_tick",
    "pending_events",
    "retry_events",
];

#[test]
fn json_has_every_documented_key() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        queues::create(&mut scene.client, "mailer");
        pgq::admin::register_consumer(&mut scene.client, "mailer", "welcome").expect("registered");
        queues::insert(&mut scene.client, "mailer", 1, 3);
        let status: Value = serde_json::from_str(&scene.print(&["status", "--json"])).expect("JSON");
        assert_eq!(keys(&status), STATUS_KEYS);
        assert_eq!(status["format"], 1);
        assert_eq!(status["schema"], kind.to_string());
        assert_eq!(status["database"], scene.database.name());
        let queue = &status["queues"][0];
        assert_eq!(keys(queue), QUEUE_KEYS);
        assert_eq!(keys(&queue["rotation"]), ["age", "due", "held_up_by", "period", "table", "tables"]);
        assert_eq!(keys(&queue["ticker"]), ["idle_period", "max_count", "max_lag"]);
        assert_eq!((&queue["name"], &queue["rotation"]["period"]), (&"mailer".into(), &7200.0.into()));
        assert_eq!(keys(&queue["consumers"][0]), CONSUMER_KEYS);
        assert_eq!(queue["consumers"][0]["name"], "welcome");
        assert!(queue["ticker_lag"].is_f64() && queue["consumers"][0]["lag"].is_f64());
    }
}

#[test]
fn a_check_has_the_exit_status_of_its_verdict() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        let (status, line) = scene.check(&[]);
        assert_eq!(status, Some(0));
        assert!(line.starts_with("OK - 0 queues, 0 consumers | ticker_lag=0s;60;300 "), "{line}");

        queues::create(&mut scene.client, "mailer");
        pgq::admin::register_consumer(&mut scene.client, "mailer", "welcome").expect("registered");
        queues::insert(&mut scene.client, "mailer", 1, 3);
        queues::tick(&mut scene.client, "mailer");
        assert_eq!(scene.check(&["mailer"]).0, Some(0));

        let next = "select pgq.next_batch('mailer', 'welcome')";
        let batch: i64 = scene.client.query_one(next, &[]).expect("a batch").get(0);
        let fail = format!("select pgq.event_failed({batch}, 1, 'no'), pgq.event_failed({batch}, 2, 'no')");
        scene.client.batch_execute(&fail).expect("given up");
        let (status, line) = scene.check(&[]);
        assert_eq!(status, Some(1));
        assert!(
            line.starts_with("WARNING - consumer `welcome` of queue `mailer`: 2 failed events | "),
            "{line}"
        );
        let (status, line) = scene.check(&["mailer", "--failed", "1,2"]);
        assert_eq!(status, Some(2));
        assert!(line.contains(" failed_events=2;1;2 ") && line.starts_with("CRITICAL"), "{line}");
        assert_eq!(scene.check(&["--failed=off"]).0, Some(0));

        let mut holder = scene.database.client();
        holder
            .batch_execute("begin isolation level repeatable read; select from pgq.queue")
            .expect("a snapshot");
        for (option, limits) in [
            ("--ticker-lag", "0,999"),
            ("--consumer-lag", "0,999"),
            ("--last-seen", "0,999"),
            ("--pending", "2,999"),
            ("--rotation-age", "0,999"),
            ("--snapshot-age", "0,999"),
        ] {
            assert_eq!(scene.check(&["--failed=off", option, limits]).0, Some(1), "{option}");
        }
    }
}

#[test]
fn the_cause_of_a_delayed_rotation_is_in_the_check() {
    let mut scene = Scene::create(Kind::Own);
    queues::create(&mut scene.client, "mailer");
    scene
        .client
        .batch_execute(
            "update pgq.queue set queue_switch_time = now() - interval '1 day', queue_switch_step2 = null",
        )
        .expect("set");
    let (status, line) = scene.check(&[]);
    assert_eq!(status, Some(2));
    assert!(line.contains(", held up by maintenance, which has not finished the last rotation | "), "{line}");
    let shown = scene.print(&["status"]);
    assert!(shown.contains("\n* rotation of mailer is held up by maintenance"), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("mailer ") && line.ends_with(" *")), "{shown}");
}

#[test]
fn a_check_that_cannot_be_made_is_unknown() {
    let scene = Scene::create(Kind::Own);
    let (status, line) = scene.check(&["nothing"]);
    assert_eq!(status, Some(3));
    assert!(line.starts_with("UNKNOWN - ") && line.contains("queue `nothing` does not exist"), "{line}");
    let (status, line) = scene.check(&["--failed", "many"]);
    assert_eq!(status, Some(3));
    assert!(line.starts_with("UNKNOWN - --failed: invalid limit `"), "{line}");
    let (status, line) = scene.check(&["--set", "db=host=127.0.0.1 port=1 dbname=x connect_timeout=5"]);
    assert_eq!((status, line.lines().count()), (Some(3), 1));
    assert!(line.starts_with("UNKNOWN - db: cannot connect") && line.contains("port 1 "), "{line}");
    scene.database.client().batch_execute("drop schema pgq cascade").expect("dropped");
    let (status, line) = scene.check(&[]);
    assert_eq!(status, Some(3));
    assert!(line.contains("schema `pgq` is not installed"), "{line}");
}

#[test]
fn a_check_that_cannot_begin_is_unknown_too() {
    let scene = Scene::create(Kind::Own);
    let unknown = |arguments: &[&str], expected: &str| {
        let (status, line) = scene.check(arguments);
        assert_eq!((status, line.lines().count()), (Some(3), 1), "{line}");
        assert!(line.starts_with("UNKNOWN - ") && line.contains(expected), "{line}");
    };
    unknown(&["one", "two"], "command `check` takes [queue]; ");
    unknown(&["--ticker-lags", "1,2"], "unexpected argument '--ticker-lags' found");
    unknown(&["--failed"], "a value is required for '--failed <WARN,CRIT>'");
    unknown(&["--set", "nothing"], "--set must be PARAM=VAL");
    unknown(&["--set", "loop_delay=soon"], "loop_delay");
    unknown(&["--timeout", "soon"], "--timeout must be seconds, not `soon`");
    fs::write(scene.folder.path().join("job.ini"), "[pgqadm\n").expect("writable");
    unknown(&[], "job.ini");
    fs::remove_file(scene.folder.path().join("job.ini")).expect("it was there");
    unknown(&[], "job.ini");

    let mut command = command("pgqadm", scene.folder.path());
    let output = command.args(["job.ini", "status", "--failed"]).output().expect("starts");
    assert_eq!(
        (output.status.code(), text(&output).as_str()),
        (Some(2), ""),
        "other commands report as before"
    );
    assert!(errors(&output).starts_with("pgqadm: a value is required for '--failed"), "{}", errors(&output));
}

#[test]
fn a_check_waits_no_longer_than_it_may() {
    let mut scene = Scene::create(Kind::Own);
    let unknown = |arguments: &[&str]| {
        let (status, line) = scene.check(arguments);
        assert_eq!((status, line.as_str()), (Some(3), "UNKNOWN - no answer within 0.2 seconds\n"));
    };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = silent.local_addr().expect("an address").port();
    unknown(&["--timeout=0.2", "--set", &format!("db=host=127.0.0.1 port={port} sslmode=disable")]);

    let mut client = scene.database.client();
    let mut transaction = client.transaction().expect("begun");
    transaction.batch_execute("lock table pgq.queue").expect("locked");
    unknown(&["--timeout=0.2"]);
    let waiting = "select count(*) from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    wait_for("the end of the statement", || {
        scene.client.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 0
    });
    transaction.rollback().expect("rolled back");
    assert_eq!(scene.check(&["--timeout=0"]).0, Some(0));
}

#[test]
fn a_great_many_queues() {
    let mut scene = Scene::create(Kind::Own);
    let many = pick(200, 1000);
    for from in (1..=many).step_by(100) {
        let create = format!(
            "select pgq.create_queue('queue ' || n), pgq.ticker('queue ' || n), \
                    pgq.register_consumer('queue ' || n, 'consumer') from generate_series({from}, {from} + 99) n"
        );
        scene.client.batch_execute(&create).expect("created");
    }
    let shown = scene.print(&["status"]);
    assert_eq!(shown.lines().filter(|line| line.starts_with("queue ") && !line.ends_with(':')).count(), many);
    assert_eq!(shown.lines().filter(|line| line.starts_with("  consumer ")).count(), many);
    let (status, line) = scene.check(&["--timeout=0"]);
    assert_eq!(status, Some(0), "{line}");
    assert!(line.starts_with(&format!("OK - {many} queues, {many} consumers | ")), "{line}");
}
