//! `metrics_listen` of the ticker: metrics and signs of life over HTTP.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::programs::Scene;
use super::serving::{Ticker, received};
use super::*;
use crate::support::programs::errors;
use crate::support::server::Server;
use crate::support::wait_for;

/// Reads metrics as Prometheus' own library does: names, types, labels and values.
const PARSE_METRICS: &str = "\
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([dict(name=f.name, type=f.type, help=f.documentation,
    samples=[dict(labels=s.labels, value=s.value) for s in f.samples]) for f in parse(sys.stdin.read())]))";

impl Ticker {
    fn metrics(&self) -> Value {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, "HTTP/1.1 200 OK");
        python(PARSE_METRICS, &text)
    }
}

/// Passes a text to a parser, and returns the result.
pub(super) fn python(program: &str, text: &str) -> Value {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut parser = command.spawn().expect("python3 is there");
    let mut input = parser.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = parser.wait_with_output().expect("it ends");
    let errors = errors(&output);
    assert!(output.status.success(), "run `scripts/setup`? {errors}\n{text}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Returns the value of the only sample with these labels.
fn value(metrics: &Value, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let families = metrics.as_array().expect("a list");
    let family = families.iter().find(|family| family["name"] == name)?;
    assert_eq!(family["type"], "gauge", "{name}");
    assert!(family["help"].as_str().is_some_and(|help| help.ends_with('.')), "{name}");
    let wanted: serde_json::Map<String, Value> =
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).into())).collect();
    let samples = family["samples"].as_array().expect("a list");
    let mut found = samples.iter().filter(|sample| sample["labels"] == Value::Object(wanted.clone()));
    let value = found.next()?["value"].as_f64();
    assert!(found.next().is_none(), "{name} twice");
    value
}

pub(super) const QUEUE_METRICS: [&str; 7] = [
    "pgq_new_events",
    "pgq_queue_ticker_lag_seconds",
    "pgq_queue_idle_period_seconds",
    "pgq_queue_paused",
    "pgq_queue_external_ticker",
    "pgq_queue_rotation_overdue_seconds",
    "pgq_queue_rotation_held_up",
];
pub(super) const CONSUMER_METRICS: [&str; 5] = [
    "pgq_pending_events",
    "pgq_consumer_lag_seconds",
    "pgq_consumer_last_seen_seconds",
    "pgq_consumer_pins_rotation",
    "pgq_failed_events",
];

/// Asserts that a paused queue and its consumer have every metric.
fn assert_paused(metrics: &Value, labels: &[(&str, &str); 3]) {
    for name in QUEUE_METRICS {
        assert!(value(metrics, name, &labels[..2]).is_some(), "{name}");
    }
    for name in CONSUMER_METRICS {
        assert!(value(metrics, name, labels).is_some(), "{name}");
    }
    assert_eq!(value(metrics, "pgq_retry_queue_events", &labels[..2]), Some(0.0));
    assert_eq!(value(metrics, "pgq_queue_idle_period_seconds", &labels[..2]), Some(90.0));
    assert_eq!(value(metrics, "pgq_queue_paused", &labels[..2]), Some(1.0));
    assert_eq!(value(metrics, "pgq_queue_external_ticker", &labels[..2]), Some(0.0));
    assert_eq!(value(metrics, "pgq_consumer_pins_rotation", labels), Some(0.0));
}

#[test]
fn metrics_equal_the_status() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut ticker = Ticker::start(kind, "");
        let database = ticker.scene.database.name().to_owned();
        assert_eq!(value(&ticker.metrics(), "pgq_up", &[("database", &database)]), Some(1.0));

        let unusual = "a \"queue\" \\ of\nlines 日本";
        let client = &mut ticker.scene.client;
        for queue in ["mailer", unusual] {
            queues::create(client, queue);
            pgq::admin::register_consumer(client, queue, "welcome").expect("registered");
            client
                .execute(
                    "select pgq.set_queue_config($1, 'ticker_paused', 'true'), \
                            pgq.set_queue_config($1, 'ticker_idle_period', '90 seconds')",
                    &[&queue],
                )
                .expect("set");
        }
        queues::insert(client, "mailer", 1, 3);
        client.execute("select pgq.force_tick('mailer')", &[]).expect("ticked");
        let metrics = ticker.metrics();
        for queue in ["mailer", unusual] {
            assert_paused(&metrics, &[("database", &*database), ("queue", queue), ("consumer", "welcome")]);
        }
        let new = value(&metrics, "pgq_new_events", &[("database", &database), ("queue", "mailer")]);
        let status = queue(&mut ticker.scene.client, "mailer");
        assert_eq!(new, status.new_events.map(|events| events as f64));
        let rate = value(&metrics, "pgq_events_per_second", &[("database", &database), ("queue", "mailer")]);
        assert!(rate.is_some() && rate == status.events_per_second, "{rate:?}");
        let labels = [("database", &*database), ("queue", "mailer"), ("consumer", "welcome")];
        let pending = consumer(&status, "welcome").pending_events.map(|events| events as f64);
        assert_eq!(value(&metrics, "pgq_pending_events", &labels), pending);
        ticker.stop();
    }
}

#[test]
fn an_unavailable_database_is_reported_until_it_returns() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("somedb");
    queues::install_as(&mut server.client("somedb"), Kind::Own);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = Database::create("unused");
    let client = database.client();
    let scene = Scene { database, client, folder };
    let ticker = Ticker::start_unready(scene, &format!("[pgqadm]\ndb = {}\n", server.conninfo("somedb")));
    wait_for("a round", || ticker.get("/ready").0 == "HTTP/1.1 200 OK");
    let up = |ticker: &Ticker| value(&ticker.metrics(), "pgq_up", &[("database", "somedb")]);
    assert_eq!(up(&ticker), Some(1.0));
    assert_eq!(ticker.get("/ready"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    server.stop();
    assert_eq!(up(&ticker), Some(0.0));
    assert_eq!(ticker.get("/live"), ("HTTP/1.1 200 OK".to_owned(), "live\n".to_owned()));
    server.start_again();
    assert_eq!(up(&ticker), Some(1.0));
}

/// As it was never reached, only its connection string contains its name.
#[test]
fn a_missing_database_is_reported_by_its_name() {
    let scene = Scene::create(Kind::Own);
    let ticker = Ticker::start_unready(scene, "[pgqadm]\ndb = host=127.0.0.1 port=1 dbname=somedb\n");
    let metrics = || ticker.get("/metrics").1;
    wait_for("the database", || metrics().contains("pgq_up{database=\"somedb\"} 0\n"));
    assert_eq!(metrics().matches("\npgq_up{").count(), 1, "{}", metrics());
}

#[test]
fn other_requests_are_answered_as_http_wants_it() {
    let ticker = Ticker::start(Kind::Own, "");
    let (status, body) = ticker.get("/");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(["/metrics", "/live", "/ready"].iter().all(|path| body.contains(path)), "{body}");
    assert_eq!(ticker.get("/nothing").0, "HTTP/1.1 404 Not Found");
    let head = ticker.send(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let post = ticker.send(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    assert!(
        post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && post.contains("allow: GET, HEAD"),
        "{post}"
    );
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for (request, answer) in [
        (b"nonsense\r\n\r\n".as_slice(), "HTTP/1.1 400 "),
        (b"GET /live HTTP/1.1\r\nno colon\r\n\r\n", "HTTP/1.1 400 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "HTTP/1.1 400 "),
        (b"", ""),
        (b"GET /li", ""),
        (long.as_bytes(), "HTTP/1.1 4"),
    ] {
        let got = ticker.send(request);
        assert!(got.starts_with(answer) && got.is_empty() == answer.is_empty(), "{request:?}: {got}");
    }
    assert_eq!(ticker.get("/live").0, "HTTP/1.1 200 OK");
}

/// Connects clients that send a part of a request or nothing.
fn slow(ticker: &Ticker, count: usize) -> Vec<TcpStream> {
    let start = |n: usize| {
        let mut client = ticker.connect();
        client.write_all(&b"GET /metrics HTTP/1.1\r\n"[..n % 20]).expect("sent");
        client
    };
    (0..count).map(start).collect()
}

/// Returns whether a client that has no answer yet has not been cut off either.
fn is_connected(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("a socket");
    let peeked = client.peek(&mut [0]);
    client.set_nonblocking(false).expect("a socket");
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn slow_clients_do_not_keep_others_waiting() {
    let ticker = Ticker::start(Kind::Own, "");
    let threads = |ticker: &Ticker| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", ticker.running.pid())).expect("it runs");
        tasks.count()
    };
    assert_eq!(ticker.get("/metrics").0, "HTTP/1.1 200 OK");
    let before = threads(&ticker);
    let mut clients = Vec::new();
    // On a busy machine, some may be cut off before the others have connected.
    wait_for("answers while all are there", || {
        clients = slow(&ticker, 100);
        for path in ["/live", "/ready", "/metrics"] {
            assert_eq!(ticker.get(path).0, "HTTP/1.1 200 OK");
        }
        clients.iter().all(is_connected)
    });
    // The number of the ticker's own threads varies.
    assert!(threads(&ticker) < before + clients.len() / 2, "a client has no thread");
    // Each is cut off, whether it has sent something or not.
    for client in clients {
        let answer = received(client);
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn more_slow_clients_than_there_are_places_make_room_for_others() {
    let ticker = Ticker::start(Kind::Own, "");
    wait_for("an answer while the last ones are there", || {
        let clients = slow(&ticker, 400);
        assert_eq!(ticker.get("/live").0, "HTTP/1.1 200 OK");
        clients[300..].iter().all(is_connected)
    });
}

#[test]
fn many_scrapes_do_not_make_a_database_unavailable() {
    let ticker = Ticker::start(Kind::Own, "");
    let database = ticker.scene.database.name().to_owned();
    let up = [("database", &*database)];
    assert_eq!(value(&ticker.metrics(), "pgq_up", &up), Some(1.0));
    let mut client = ticker.scene.database.client();
    let mut transaction = client.transaction().expect("begun");
    transaction.batch_execute("lock table pgq.queue").expect("locked");
    let scrapes: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut client = ticker.connect();
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
            client
        })
        .collect();
    let mut other = ticker.scene.database.client();
    let reading = "select count(*) from pg_stat_activity where datname = current_database() \
                   and application_name = 'pgqadm_metrics' and wait_event_type = 'Lock'";
    wait_for("a reading", || other.query_one(reading, &[]).expect("readable").get::<_, i64>(0) == 1);
    transaction.rollback().expect("rolled back");
    for scrape in scrapes {
        let answer = received(scrape);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(&format!("pgq_up{{database=\"{database}\"}} 1\n")), "{answer}");
    }
}

#[test]
fn a_reload_keeps_serving() {
    let ticker = Ticker::start(Kind::Own, "");
    let log = || std::fs::read_to_string(ticker.scene.folder.path().join("job.log")).unwrap_or_default();
    ticker.running.signal(Signal::SIGHUP);
    wait_for("the reload", || log().contains("Config reloaded"));
    assert_eq!(ticker.get("/ready").0, "HTTP/1.1 200 OK");
    assert_eq!(ticker.get("/metrics").0, "HTTP/1.1 200 OK");
    assert!(!log().contains("ERROR"), "{}", log());

    ticker.reload("");
    wait_for("the end of it", || TcpStream::connect(("127.0.0.1", ticker.port)).is_err());
}

#[test]
fn a_reload_changes_the_address_of_a_port() {
    let ticker = Ticker::start(Kind::Own, "");
    let is_served = |host| TcpStream::connect((host, ticker.port)).is_ok();
    let elsewhere = "127.0.0.2";
    assert!(!is_served(elsewhere));
    let reload = |listen: &str| ticker.reload(&format!("metrics_listen = {listen}:{}\n", ticker.port));
    reload("0.0.0.0");
    wait_for("all addresses", || is_served(elsewhere));
    assert_eq!(ticker.get("/metrics").0, "HTTP/1.1 200 OK");
    reload("127.0.0.1");
    wait_for("one address", || !is_served(elsewhere) && is_served("127.0.0.1"));
    assert_eq!(ticker.get("/metrics").0, "HTTP/1.1 200 OK");
    let log = std::fs::read_to_string(ticker.scene.folder.path().join("job.log")).unwrap_or_default();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn an_invalid_address_is_wrong_usage() {
    let scene = Scene::create(Kind::Own);
    let output = scene.pgqadm(&["ticker", "--set", "metrics_listen=nowhere"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(2));
    let line = "cannot serve metrics on `nowhere`: invalid socket address";
    assert!(errors(&output).contains(line), "{}", errors(&output));
}

#[test]
fn an_address_in_use_is_reported_at_start() {
    let ticker = Ticker::start(Kind::Own, "");
    let listen = format!("metrics_listen=127.0.0.1:{}", ticker.port);
    let output =
        ticker.scene.pgqadm(&["ticker", "--set", &listen, "--set", "pidfile="]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let line = format!("cannot serve metrics on `127.0.0.1:{}`: Address already in use", ticker.port);
    assert!(errors(&output).contains(&line), "{}", errors(&output));
}
