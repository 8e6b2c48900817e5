//! Events of real triggers, routed and read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use pgq::consume::Unknown;
use pgq::payload::Operation;
use pgq::schema::Kind;
use pgq::{Batch, BoxError, Consumer, Event, Outcome, RetryPolicy, Router, Settings, Subscription, Worker};
use postgres::Client;
use serde::Deserialize;

use crate::support::{Database, queues, templates, wait_for};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";

const TABLE: &str = r#"create table "Odd t" (id bigint primary key, name text, yes bool, real float8, price numeric,
    tags text[], extra jsonb, at date, zoned timestamptz, local timestamp, raw bytea)"#;

/// A row, whichever trigger wrote it.
#[derive(Debug, Deserialize, PartialEq)]
struct UnusualRow {
    id: i64,
    name: Option<String>,
    yes: bool,
    real: f64,
    price: String,
    tags: Vec<Option<String>>,
    extra: Option<Extra>,
    at: Option<NaiveDate>,
    zoned: Option<DateTime<Utc>>,
    local: Option<NaiveDateTime>,
    raw: Option<Vec<u8>>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Extra {
    a: i32,
}

/// Returns a database with a kind of PgQ, a queue and a consumer.
fn database(kind: Kind) -> (Database, Client, Subscription) {
    let (database, mut client) = templates::installed(kind, "routing");
    queues::create(&mut client, QUEUE);
    let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
    subscription.register(&mut client).expect("registered");
    (database, client, subscription)
}

/// Hands the next batch to a consumer; returns how many events it retried and failed.
fn process(
    client: &mut Client,
    subscription: &Subscription,
    consumer: &mut impl Consumer,
) -> Result<(u64, u64), BoxError> {
    let info = subscription.next_batch(client)?.expect("a batch");
    let mut batch = Batch::open(client, subscription, info)?;
    consumer.process_batch(&mut batch)?;
    let tagged = (batch.retried(), batch.failed());
    batch.finish()?;
    Ok(tagged)
}

/// Keeps the events that it gets.
struct Keeper(Vec<Event>);

impl Consumer for Keeper {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        self.0.push(event.clone());
        Ok(Outcome::Done)
    }
}

fn events(client: &mut Client, subscription: &Subscription) -> Vec<Event> {
    queues::tick(client, QUEUE);
    let mut keeper = Keeper(Vec::new());
    process(client, subscription, &mut keeper).expect("read");
    keeper.0
}

/// Returns the row that [`check_rows`] inserts.
fn unusual_row() -> UnusualRow {
    UnusualRow {
        id: 9_007_199_254_740_993,
        name: Some("a&b=ü".to_owned()),
        yes: true,
        real: f64::NEG_INFINITY,
        price: "1.50".to_owned(),
        tags: vec![Some("x y".to_owned()), None],
        extra: Some(Extra { a: 1 }),
        at: NaiveDate::from_ymd_opt(2020, 1, 2),
        zoned: Some("2024-01-01T08:00:00.5Z".parse().expect("a time")),
        local: Some("2024-01-01T10:00:00".parse().expect("a time")),
        raw: Some(vec![0, 255]),
    }
}

fn check_rows(kind: Kind, function: &str) {
    let (_database, mut client, subscription) = database(kind);
    client.batch_execute(TABLE).expect("created");
    let trigger = format!(
        r#"create trigger r after insert or update or delete on "Odd t" for each row
               execute function pgq.{function}('{QUEUE}', 'backup');
           create trigger s after truncate on "Odd t" for each statement execute function pgq.{function}('{QUEUE}');
           insert into "Odd t" values (9007199254740993, 'a&b=ü', true, '-Infinity', 1.50, '{{"x y",NULL}}', '{{"a": 1}}',
               '2020-01-02', '2024-01-01 10:00:00.5+02', '2024-01-01 10:00:00', '\x00ff');
           update "Odd t" set name = null, yes = false, real = 0.5, tags = '{{}}', extra = null, at = null, zoned = null, local = null;
           delete from "Odd t"; truncate "Odd t""#
    );
    client.batch_execute(&trigger).expect("changed");
    let events = events(&mut client, &subscription);
    let changes: Vec<_> = events.iter().map(|event| event.change().expect("a change")).collect();
    let operations: Vec<_> = changes.iter().map(pgq::payload::Change::operation).collect();
    assert_eq!(operations, [Operation::Insert, Operation::Update, Operation::Delete, Operation::Truncate]);
    assert!(changes.iter().all(|change| change.table() == "public.Odd t"));
    let first = unusual_row();
    assert_eq!(changes[0].row::<UnusualRow>().expect("valid"), first);
    assert_eq!(changes[0].old_row::<UnusualRow>().expect("valid"), None);
    assert_eq!(changes[1].old_row::<UnusualRow>().expect("valid"), Some(first));
    let second: UnusualRow = changes[1].row().expect("valid");
    assert_eq!((second.name.as_deref(), second.yes, second.real, second.tags.len()), (None, false, 0.5, 0));
    for change in &changes[..3] {
        assert_eq!(change.key_columns().collect::<Vec<_>>(), ["id"]);
        assert_eq!(change.key().expect("valid").to_string(), "{'id': '9007199254740993'}");
    }
    assert!(changes[3].fields().expect("valid").is_empty());
}

#[test]
fn rows_of_triggers_become_values() {
    for kind in [Kind::Own, Kind::Extension] {
        for function in ["logutriga", "jsontriga"] {
            check_rows(kind, function);
        }
    }
}

#[test]
fn fields_of_a_queue_table_are_shown_as_skytools_shows_them() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client, subscription) = database(kind);
        let script = format!(
            r#"create schema queue; create table queue.welcome_email (username text, "hi!" text);
               create trigger t before insert on queue.welcome_email for each row
                   execute function pgq.logutriga('{QUEUE}', 'SKIP');
               insert into queue.welcome_email ("hi!", username) values (null, 'kristokaiv')"#
        );
        client.batch_execute(&script).expect("inserted");
        let events = events(&mut client, &subscription);
        let [event] = &events[..] else { panic!("one event, not {}", events.len()) };
        let fields = event.urldecode().expect("valid");
        assert_eq!(fields.to_string(), "{'username': 'kristokaiv', 'hi!': None}");
        assert_eq!((event.event_type(), event.extra1()), ("I:", Some("queue.welcome_email")));
        let kept: i64 =
            client.query_one("select count(*) from queue.welcome_email", &[]).expect("readable").get(0);
        assert_eq!(kept, 0);
    }
}

#[test]
fn a_malformed_payload_is_reported() {
    let (_database, mut client, subscription) = database(Kind::Own);
    for data in ["a=x", "{\"a\": \"x\"}", "a=%"] {
        pgq::insert_event(&mut client, QUEUE, "type", data).expect("inserted");
    }
    pgq::insert_new_event(&mut client, QUEUE, &pgq::NewEvent::default()).expect("inserted");
    let events = events(&mut client, &subscription);
    #[derive(Debug, Deserialize)]
    struct Number {
        #[allow(dead_code, reason = "it cannot be read")]
        a: i32,
    }
    let errors: Vec<String> = [
        events[0].urldecode_as::<Number>(),
        events[1].json(),
        events[2].urldecode_as(),
        events[3].json(),
        events[1].urldecode_as(),
    ]
    .map(|read| dbscript::describe_in_full(&read.expect_err("wrong")))
    .into();
    assert_eq!(
        errors,
        [
            "cannot read the fields (event 1): field `a`: expected i32, not `x`",
            "cannot read the JSON (event 2): field `a`: invalid type: string \"x\", expected i32 at line 1 column 9",
            "cannot decode the fields (event 3): field `a`: a `%` without two hexadecimal digits in `%`",
            "the event has no data (event 4)",
            "cannot read the fields (event 2): missing field `a`",
        ]
    );
}

/// The arguments of the handlers' calls.
type Calls = Arc<Mutex<Vec<String>>>;

fn router(unknown: Unknown, calls: &Calls) -> Router {
    let note = |calls: &Calls, what: String| calls.lock().expect("no handler panics").push(what);
    let (welcome, users, orders) = (calls.clone(), calls.clone(), calls.clone());
    Router::new(unknown)
        .on("welcome", move |event, batch| {
            batch.db()?.execute("insert into done values ($1)", &[&event.data()])?;
            note(&welcome, format!("welcome {}", event.data().unwrap_or_default()));
            Ok(Outcome::Done)
        })
        .on_table("users", move |event, _| {
            let change = event.change().ok_or("no change")?;
            note(&users, format!("{} {}", change.operation(), change.key()?));
            Ok(Outcome::Done)
        })
        .on_table("shop.orders", move |event, batch| {
            batch.db()?.execute("insert into done values ('undone')", &[])?;
            note(&orders, event.event_type().to_owned());
            Err("the shop is closed".into())
        })
}

const SHOP: &str =
    "create table users (id int primary key); create schema shop; create table done (what text);
    create table shop.orders (id int primary key); create table other (id int primary key)";

/// Creates events by every table's trigger and by a producer.
fn fill(client: &mut Client) {
    client.batch_execute(SHOP).expect("created");
    for (table, function) in [("users", "logutriga"), ("shop.orders", "jsontriga"), ("other", "logutriga")] {
        let script = format!(
            "create trigger t after insert on {table} for each row execute function pgq.{function}('{QUEUE}');
             insert into {table} values (1)"
        );
        client.batch_execute(&script).expect("changed");
    }
    for kind in ["welcome", "new in the next version"] {
        pgq::insert_event(client, QUEUE, kind, "x").expect("inserted");
    }
    queues::tick(client, QUEUE);
}

fn done(client: &mut Client) -> Vec<String> {
    let rows = client.query("select what from done", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn types_and_tables_have_handlers_and_the_policy_takes_their_errors() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client, subscription) = database(kind);
        fill(&mut client);
        let mut settings = subscription.settings().clone();
        settings.retry_policy = Some(RetryPolicy::fixed(Duration::ZERO).max_retries(1));
        let subscription = Subscription::new(settings);
        let calls = Calls::default();
        let mut router = router(Unknown::Fail, &calls);
        let tagged = process(&mut client, &subscription, &mut router).expect("processed");
        assert_eq!(tagged, (1, 2), "the order is retried, the other table and type are failed");
        let order = r#"{"op":"INSERT","table":["shop","orders"],"pkey":["id"]}"#;
        assert_eq!(*calls.lock().expect("free"), ["insert {'id': '1'}", order, "welcome x"]);
        assert_eq!(done(&mut client), ["x"], "writes of a failed handler are rolled back");
        let failed = pgq::admin::failed_events(&mut client, QUEUE, CONSUMER, None, 0).expect("listed");
        let reasons: Vec<_> = failed.iter().filter_map(pgq::admin::FailedEvent::reason).collect();
        assert_eq!(
            reasons,
            [
                "there is no handler of `I:id of public.other`",
                "there is no handler of `new in the next version`"
            ]
        );
        pgq::ticker::retry_events(&mut client).expect("returned");
        queues::tick(&mut client, QUEUE);
        let tagged = process(&mut client, &subscription, &mut router).expect("processed");
        assert_eq!(tagged, (0, 1), "the order has been retried once");
    }
}

#[test]
fn a_router_runs_in_a_worker_and_its_counts_elsewhere() {
    let (database, mut client, subscription) = database(Kind::Own);
    let mut settings = subscription.settings().clone();
    settings.retry_policy = Some(RetryPolicy::fixed(Duration::from_secs(3600)));
    fill(&mut client);
    let calls = Calls::default();
    let router = router(Unknown::Skip, &calls);
    let unknown = router.unknown_events();
    let worker = Worker::with_settings(&database.conninfo(), settings).spawn(router).expect("started");
    wait_for("the batch", || done(&mut client) == ["x"]);
    worker.stop();
    worker.join().expect("ended");
    let by_type: Vec<_> = unknown.by_type().into_iter().collect();
    let expected = [("I:id of public.other".to_owned(), 1), ("new in the next version".to_owned(), 1)];
    assert_eq!((by_type, unknown.total()), (expected.to_vec(), 2));
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 0);
}

#[test]
fn without_a_policy_an_unknown_type_may_hold_the_batch() {
    let (_database, mut client, subscription) = database(Kind::Own);
    pgq::insert_event(&mut client, QUEUE, "odd", "x").expect("inserted");
    queues::tick(&mut client, QUEUE);
    let error = process(&mut client, &subscription, &mut Router::new(Unknown::Error)).expect_err("refused");
    assert!(dbscript::describe(&*error).ends_with("there is no handler of `odd`"), "{error}");
    let again = process(&mut client, &subscription, &mut Router::new(Unknown::Retry(Duration::ZERO)));
    assert_eq!(again.expect("processed"), (1, 0));
}
