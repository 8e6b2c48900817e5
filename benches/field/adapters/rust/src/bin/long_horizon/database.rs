//! The schema, the connections, and the number of pending events.

use chrono::{DateTime, SecondsFormat};
use field_adapters::{BoxError, now};
use postgres::NoTls;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::manifest::Manifest;
use crate::pgq_common::{self, Options, QUEUE, TICK, consumer_name};
use crate::settings::Settings;

/// The tables of the schema.
const TABLES: &str = "select array_agg(schemaname || '.' || tablename order by tablename) from pg_tables \
    where schemaname = 'pgq'";

/// The event ids after the consumer's last finished batch. The newest version of its position comes first, so that the query
/// visits no other while an old snapshot holds them.
const DEPTH: &str = "select pgq.seq_getval(queue_event_seq) - tick_event_seq \
    from pgq.queue join pgq.consumer on co_name = $2 \
    cross join lateral (select sub_last_tick from pgq.subscription where sub_queue = queue_id and sub_consumer = co_id \
        order by sub_queue, sub_consumer, sub_active desc limit 1) position \
    join pgq.tick on tick_queue = queue_id and tick_id = sub_last_tick \
    where queue_name = $1";

/// Installs the schema, and creates the queue and its consumer. Returns the descriptor, and the number of events that are
/// left from an earlier run. Blocks.
///
/// # Errors
///
/// When the server fails.
pub(crate) fn install(settings: &Settings) -> Result<(Value, i64), BoxError> {
    let options = Options { url: settings.url.clone(), schema: settings.schema.clone(), tick: TICK };
    let versions = pgq_common::setup(&options, 1)?;
    let mut client = postgres::Client::connect(&settings.url, NoTls)?;
    let tables: Vec<String> = client.query_one(TABLES, &[])?.get(0);
    let database: String = client.query_one("select current_database()::text", &[])?.get(0);
    let depth: i64 = client.query_one(DEPTH, &[&QUEUE, &consumer_name(0)])?.get(0);
    let manifest = Manifest::read()?;
    let mut extensions = manifest.extensions;
    if settings.schema == "extension" {
        extensions.push("pgq".to_owned());
    }
    let descriptor = json!({
        "kind": "descriptor",
        "system": manifest.system,
        "event_tables": tables,
        "extensions": extensions,
        "version": versions.version,
        "schema_version": versions.schema_version,
        "db_name": database,
        "started_at": time(u64::try_from(now() / 1_000)?),
    });
    Ok((descriptor, depth))
}

/// Returns the text of a time in milliseconds since 1970.
pub(crate) fn time(milliseconds: u64) -> String {
    let time = DateTime::from_timestamp_millis(milliseconds.cast_signed()).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Connects, on a task that ends with the connection.
///
/// # Errors
///
/// When the server refuses.
pub(crate) async fn connect(url: &str) -> Result<Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::warn!("connection lost: {}", crate::describe(&error));
        }
    });
    Ok(client)
}

/// Returns the number of events that are not finished.
///
/// # Errors
///
/// When the server fails.
pub(crate) async fn depth(client: &Client) -> Result<i64, BoxError> {
    let row = client.query_one(DEPTH, &[&QUEUE, &consumer_name(0)]).await?;
    Ok(row.try_get(0)?)
}
