//! `long_horizon` as the harness runs it, on a PostgreSQL of its own.

mod adapter;
#[path = "../../../../../tests/support/server.rs"]
mod postgres_server;

use std::collections::BTreeMap;
use std::time::Instant;

use nix::sys::signal::Signal;
use postgres::Client;
use postgres_server::Server;
use serde_json::Value;

use adapter::{Adapter, Sample};

const MANIFEST: &str = include_str!("../../../harness/pgq/adapter.json");
const METRICS: [&str; 6] =
    ["claim_p50_ms", "claim_p95_ms", "claim_p99_ms", "enqueue_rate", "completion_rate", "queue_depth"];

fn server() -> Server {
    Server::builder().with_pgq().listen_localhost().start().expect("PostgreSQL starts")
}

fn start(server: &Server, database: &str, environment: &[(&str, &str)]) -> Adapter {
    Adapter::start(&url(server, database), environment)
}

fn url(server: &Server, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{}/{database}", server.port())
}

fn number(client: &mut Client, statement: &str) -> i64 {
    client.query_one(statement, &[]).expect("a row").get(0)
}

/// Returns the number of events.
fn inserted(client: &mut Client) -> i64 {
    number(client, "select count(*) from pgq.event_1")
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
}

#[test]
fn a_fixed_rate_in_both_schemas() {
    let server = server();
    for (schema, extensions) in [("own", vec![]), ("extension", vec!["pgq"])] {
        server.create_database(schema);
        let started = Instant::now();
        let environment = [("PGQ_SCHEMA", schema), ("PRODUCER_RATE", "200"), ("SAMPLE_EVERY_S", "2")];
        let adapter = start(&server, schema, &environment);
        let descriptor = adapter.line();
        check_descriptor(&descriptor, schema, &extensions);
        let mut client = server.client(schema);
        check_tables(&mut client, &descriptor, schema);

        let busy = |sample: &Sample| sample["enqueue_rate"] > 0.0 && sample["completion_rate"] > 0.0;
        let samples = [adapter.wait_for(busy), adapter.wait_for(busy)];
        samples.iter().for_each(|sample| check_sample(sample, 2));
        assert!(samples[0].second < samples[1].second, "{samples:?}");
        adapter.stop(Signal::SIGTERM);

        let inserted = inserted(&mut client);
        let sampled: f64 = samples.iter().map(|sample| sample["enqueue_rate"] * 2.0).sum();
        // The interval between samples can be longer than two seconds by the delay of a timer.
        assert!(inserted as f64 > sampled / 2.0, "{inserted} events instead of {sampled}");
        assert!(inserted as f64 <= 200.0 * started.elapsed().as_secs_f64(), "{inserted} events are too many");
        let others = "select count(*) from pgq.event_1 where length(ev_data) <> 256";
        assert_eq!(number(&mut client, others), 0);
    }
}

fn check_descriptor(descriptor: &Value, database: &str, extensions: &[&str]) {
    let manifest: Value = serde_json::from_str(MANIFEST).expect("JSON");
    assert_eq!(descriptor["kind"], "descriptor");
    assert_eq!(descriptor["system"], manifest["system"]);
    assert_eq!(descriptor["db_name"], database);
    assert_eq!(names(&descriptor["extensions"]), extensions);
    let schema_version = descriptor["schema_version"].as_str().expect("a text");
    assert!(schema_version.starts_with(database), "{schema_version}");
    assert_eq!(descriptor["version"], env!("CARGO_PKG_VERSION"));
    let started_at = descriptor["started_at"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(started_at).expect("a time");
}

/// Checks that the tables of `adapter.json` exist, among them all that store the queue's events, and the indexes, which are
/// those of the own schema.
fn check_tables(client: &mut Client, descriptor: &Value, schema: &str) {
    let manifest: Value = serde_json::from_str(MANIFEST).expect("JSON");
    let tables = names(&manifest["event_tables"]);
    for table in &tables {
        assert!(names(&descriptor["event_tables"]).contains(table), "{table}");
    }
    check_relations(client, "r", &tables);
    if schema == "own" {
        check_relations(client, "i", &names(&manifest["event_indexes"]));
    }
    let stores = "select inhrelid::regclass::text from pg_inherits join pgq.queue \
        on inhparent = to_regclass(queue_data_pfx) where queue_name = 'field'";
    let stores = client.query(stores, &[]).expect("rows");
    assert_eq!(stores.len(), 3);
    for store in stores {
        let store: String = store.get(0);
        assert!(tables.contains(&store.as_str()), "{store}");
    }
}

fn check_relations(client: &mut Client, kind: &str, names: &[&str]) {
    let missing = "select name from unnest($1::text[]) name \
        where not exists (select from pg_class where oid = to_regclass(name) and relkind::text = $2)";
    let missing = client.query(missing, &[&names, &kind]).expect("rows");
    let missing: Vec<String> = missing.iter().map(|row| row.get(0)).collect();
    assert!(missing.is_empty() && !names.is_empty(), "missing: {missing:?}");
}

fn check_sample(sample: &Sample, interval: i64) {
    assert_eq!(sample.second % interval, 0, "{sample:?}");
    let windows: BTreeMap<&str, i64> = METRICS.into_iter().zip([30, 30, 30, interval, interval, 0]).collect();
    for line in &sample.lines {
        let metric = line["metric"].as_str().expect("a name");
        assert_eq!(line["window_s"], windows[metric], "{line}");
        assert_eq!(line["kind"], "adapter");
        assert_eq!((&line["subject_kind"], &line["subject"]), (&"adapter".into(), &"".into()));
        assert_eq!(line["system"], "pgq");
    }
    let [p50, p95, p99] = ["claim_p50_ms", "claim_p95_ms", "claim_p99_ms"].map(|metric| sample[metric]);
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{sample:?}");
}

#[test]
fn a_target_depth_and_a_restart_with_events_left() {
    let server = server();
    server.create_database("depth");
    let endless = [
        ("PRODUCER_MODE", "depth-target"),
        ("TARGET_DEPTH", "300"),
        ("PRODUCER_BATCH_MAX", "100"),
        ("WORKER_COUNT", "2"),
        ("JOB_WORK_MS", "3600000"),
        ("SAMPLE_EVERY_S", "1"),
    ];
    let mut client = server.client("depth");
    let adapter = start(&server, "depth", &endless);
    // The second time, the producer has seen the number of the first one.
    for _ in 0..2 {
        adapter.wait_for(|sample| sample["queue_depth"] == 300.0);
    }
    // The sequence's first value counts as used, so the first depth can be too small by one.
    let before = inserted(&mut client);
    assert!((300..=301).contains(&before), "{before} events");
    // Handlers that do not end are dropped.
    adapter.stop(Signal::SIGINT);

    let adapter = start(&server, "depth", &endless);
    for _ in 0..2 {
        adapter.wait_for(|sample| sample["queue_depth"] == 300.0);
    }
    assert_eq!(inserted(&mut client), before);
    adapter.stop(Signal::SIGTERM);

    let nothing = [("PRODUCER_RATE", "0"), ("JOB_WORK_MS", "0"), ("SAMPLE_EVERY_S", "1")];
    let adapter = start(&server, "depth", &nothing);
    let empty = adapter.wait_for(|sample| sample["queue_depth"] == 0.0);
    assert!(empty["claim_p50_ms"] > 0.0, "{empty:?}");
    adapter.stop(Signal::SIGTERM);
    assert_eq!(inserted(&mut client), before);
}

#[test]
fn the_producer_follows_the_consumer_between_samples() {
    let server = server();
    server.create_database("follow");
    let environment = [
        ("PRODUCER_MODE", "depth-target"),
        ("TARGET_DEPTH", "50"),
        ("JOB_WORK_MS", "0"),
        ("SAMPLE_EVERY_S", "3600"),
    ];
    let adapter = start(&server, "follow", &environment);
    adapter.line();
    let mut client = server.client("follow");
    adapter::wait_until("ten times the depth", || inserted(&mut client) >= 500);
    adapter.stop(Signal::SIGTERM);
}

#[test]
fn the_server_crashes() {
    let server = server();
    server.create_database("crash");
    let adapter = start(&server, "crash", &[("PRODUCER_RATE", "200"), ("SAMPLE_EVERY_S", "1")]);
    let busy = |sample: &Sample| sample["enqueue_rate"] > 0.0 && sample["completion_rate"] > 0.0;
    adapter.wait_for(busy);
    server.restart_immediate();
    adapter.wait_for_log("retrying in 1s");
    let mut client = server.client("crash");
    let before = inserted(&mut client);
    adapter::wait_until("another event", || inserted(&mut client) > before);
    // The samples before this time can be those before the crash.
    let now = number(&mut client, "select extract(epoch from clock_timestamp())::bigint");
    adapter.wait_for(|sample| busy(sample) && sample.second > now + 1);
    adapter.stop(Signal::SIGTERM);
}

#[test]
fn an_invalid_environment_is_one_line() {
    let check = |url: &str, environment: &[(&str, &str)], message: &str| {
        let (status, output, log) = Adapter::start(url, environment).finish();
        assert_eq!((status.code(), output.len(), log.len()), (Some(1), 0, 1), "{log:?}");
        assert!(log[0].contains(message), "{log:?}");
    };
    let closed = format!("postgres://postgres@127.0.0.1:{}/none", postgres_server::free_port());
    check(&closed, &[("WORKER_COUNT", "many")], "invalid value `many` of `WORKER_COUNT`");
    check(&closed, &[("PRODUCER_MODE", "burst")], "invalid value `burst` of `PRODUCER_MODE`");
    check("", &[], "`DATABASE_URL` is not set");
    check("port=high", &[], "invalid `DATABASE_URL`");
    check(&closed, &[], "Connection refused");
}
