//! Kinds of consumers, and the outcomes of events.

mod attempts;
mod autocommit;
mod coop;
mod errors;
mod heartbeats;
mod keys;
mod local;
mod many;
mod one_id;
mod outcomes;
mod policy;
mod remote_team;
mod statistics;
mod tables;
mod tags;
mod twins;

use std::time::Duration;

use pgq::schema::Kind;
use pgq::{Batch, BoxError, Consumer, Event, Outcome, Settings, Subscription};
use postgres::Client;

use crate::support::{Database, queues, templates};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";
const SHORT: Duration = Duration::from_millis(10);

/// The kinds of PgQ that a consumer supports.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pgq {
    Own,
    Extension,
    /// The extension, and nothing that this project adds to it.
    Bare,
}

impl Pgq {
    const ALL: [Pgq; 3] = [Pgq::Own, Pgq::Extension, Pgq::Bare];
    const WHOLE: [Pgq; 2] = [Pgq::Own, Pgq::Extension];

    /// Returns a database with a queue.
    fn database(self) -> (Database, Client) {
        let (database, mut client) = match self {
            Pgq::Own => templates::installed(Kind::Own, "consumers"),
            Pgq::Extension => templates::installed(Kind::Extension, "consumers"),
            Pgq::Bare => templates::bare("consumers"),
        };
        queues::create(&mut client, QUEUE);
        (database, client)
    }
}

/// A consumer that is one closure.
struct Handler<F>(F);

impl<F: FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError>> Consumer for Handler<F> {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        (self.0)(event, batch)
    }
}

fn handler<F: FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError>>(handle: F) -> Handler<F> {
    Handler(handle)
}

/// A consumer's subscription that is registered.
fn subscribe(client: &mut Client, change: impl FnOnce(&mut Settings)) -> Subscription {
    let mut settings = Settings::new(QUEUE, CONSUMER);
    change(&mut settings);
    let subscription = Subscription::new(settings);
    subscription.register(client).expect("registered");
    subscription
}

fn open<'a>(client: &'a mut Client, subscription: &Subscription) -> Batch<'a> {
    let info = subscription.next_batch(client).expect("the server answers").expect("there is a batch");
    Batch::open(client, subscription, info).expect("the batch opens")
}

/// Delivers the next batch to a consumer.
fn deliver(
    client: &mut Client,
    subscription: &Subscription,
    consumer: &mut impl Consumer,
) -> Result<(), BoxError> {
    let mut batch = open(client, subscription);
    consumer.process_batch(&mut batch)?;
    Ok(batch.finish()?)
}

/// Returns the numbers of the next batch's events, as `insert` numbers them, and how often each was retried.
fn take(client: &mut Client, subscription: &Subscription) -> Vec<(i64, i32)> {
    let mut seen = Vec::new();
    let mut consumer = handler(|event, _| {
        seen.push((number(event), event.retry()));
        Ok(Outcome::Done)
    });
    deliver(client, subscription, &mut consumer).expect("delivered");
    seen
}

fn number(event: &Event) -> i64 {
    let data = event.data().and_then(|data| data.strip_prefix("event "));
    data.and_then(|number| number.parse().ok()).expect("as `insert` numbers them")
}

/// Inserts events with the numbers 0 and on, and ticks.
fn fill(client: &mut Client, count: i64) -> i64 {
    queues::insert(client, QUEUE, 0, count);
    queues::tick(client, QUEUE)
}

/// Inserts events with ids of the test's choice.
fn insert_ids(client: &mut Client, ids: &[i64]) {
    let table: String =
        client.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("the queue is there").get(0);
    let insert = format!(
        "insert into {table} (ev_id, ev_time, ev_data) select id, now(), 'event ' || place \
                          from unnest($1::int8[]) with ordinality given (id, place)"
    );
    client.execute(&insert, &[&ids]).expect("inserted");
}

/// Returns retried events to the queue, and ticks.
fn return_retries(client: &mut Client) -> u64 {
    let returned = pgq::ticker::retry_events(client).expect("returned");
    queues::tick(client, QUEUE);
    returned
}

/// Returns the failed events: data and reason.
fn failed(client: &mut Client) -> Vec<(String, String)> {
    let events = pgq::admin::failed_events(client, QUEUE, CONSUMER, None, 0).expect("listed");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    events.iter().map(|event| (text(event.data()), text(event.reason()))).collect()
}

/// Makes the table `written`, to which handlers write numbers.
fn create_written(client: &mut Client) {
    client.batch_execute("create table written (number int8)").expect("created");
}

fn write(batch: &mut Batch<'_>, number: i64) -> Result<(), BoxError> {
    batch.db()?.execute("insert into written values ($1)", &[&number])?;
    Ok(())
}

fn written(client: &mut Client) -> Vec<i64> {
    let rows = client.query("select number from written order by number", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}
