//! Queues to test with: installed, ticked and compared.

use std::sync::{Mutex, PoisonError};

use pgq::schema::{Kind, Report};
use postgres::Client;

use super::{Database, templates};

/// Text with everything that quoting and encoding could break.
pub(crate) const UNUSUAL: &str = "o'dd \"queue\" \\ %s $1 \t\n\u{1}ünïcødé 🐘 日本 \u{200b}";

/// The extension creates roles of the whole cluster, which two databases cannot do at once.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Installs both schemas; `PGQ_SCHEMA` may say which kind of PgQ the suite is to run on.
pub(crate) fn install(client: &mut Client) {
    let kind =
        std::env::var("PGQ_SCHEMA").ok().map(|kind| kind.parse().expect("PGQ_SCHEMA is a kind of PgQ"));
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    pgq::schema::install_as(client, kind).expect("pgq installs");
    pgq_ext::schema::install(client).expect("pgq_ext installs");
}

/// Installs one kind of PgQ.
pub(crate) fn install_as(client: &mut Client, kind: Kind) -> Report {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    pgq::schema::install_as(client, Some(kind)).expect("pgq installs")
}

/// Creates the extension alone.
pub(crate) fn create_extension(client: &mut Client) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    client.batch_execute("create extension pgq").expect("the server offers the extension `pgq`");
}

/// Removes PgQ, of whichever kind it is.
pub(crate) fn uninstall(client: &mut Client) {
    client.batch_execute("drop extension if exists pgq cascade").expect("dropped");
    client.batch_execute("drop schema if exists pgq cascade").expect("dropped");
}

/// Creates a queue that ticks on every call, and gives it its first tick.
pub(crate) fn create(client: &mut Client, queue: &str) {
    pgq::admin::create_queue(client, queue).expect("the queue is new");
    for setting in ["ticker_max_lag", "ticker_idle_period"] {
        client
            .execute("select pgq.set_queue_config($1, $2, '0')", &[&queue, &setting])
            .expect("the setting is known");
    }
    tick(client, queue);
}

/// Runs statements, each in a transaction of its own.
pub(crate) fn each(client: &mut Client, statements: &[&str]) {
    for statement in statements {
        client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

/// Makes a tick.
pub(crate) fn tick(client: &mut Client, queue: &str) -> i64 {
    client.query_one("select pgq.ticker($1)", &[&queue]).expect("the queue ticks").get(0)
}

/// Inserts `count` events with distinct data.
pub(crate) fn insert(client: &mut Client, queue: &str, from: i64, count: i64) {
    client
        .execute(
            "select count(pgq.insert_event($1, 'type', 'event ' || n, 'extra', null, null, null)) \
             from generate_series($2::int8, $2::int8 + $3::int8 - 1) n",
            &[&queue, &from, &count],
        )
        .expect("the events are inserted");
}

/// Every column that a producer sets, and the time, in the order of event ids.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// Returns all events that a queue's tables hold.
pub(crate) fn events(client: &mut Client, queue: &str) -> Rows {
    let table: String = client
        .query_one("select queue_data_pfx from pgq.queue where queue_name = $1", &[&queue])
        .expect("the queue is there")
        .get(0);
    let select = format!(
        "select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time::text from {table} order by ev_id"
    );
    let rows = client.query(&select, &[]).expect("the events are readable");
    rows.iter().map(|row| (0..7).map(|column| row.get(column)).collect()).collect()
}

/// Returns how many events a queue's tables hold.
pub(crate) fn count(client: &mut Client, queue: &str) -> usize {
    events(client, queue).len()
}

/// Returns the tick a consumer is at and the batch it has open.
pub(crate) fn position(client: &mut Client, queue: &str, consumer: &str) -> (i64, Option<i64>) {
    let row = client
        .query_one("select last_tick, current_batch from pgq.get_consumer_info($1, $2)", &[&queue, &consumer])
        .expect("the consumer is registered");
    (row.get(0), row.get(1))
}

/// Returns a database with both schemas and one queue.
pub(crate) fn database(prefix: &str, queue: &str) -> (Database, Client) {
    let (database, mut client) = templates::prepared(prefix);
    create(&mut client, queue);
    (database, client)
}
