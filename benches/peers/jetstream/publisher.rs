//! A publisher that keeps no position, which runs in a separate process of this program.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Subscriber};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{StreamExt, TryStreamExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::nats::SUBJECT;
use crate::{BoxError, crate_client};

/// Runs the publisher. Arguments: URL, number of events, `headers` or `plain`, number of messages for which there is one
/// acknowledgement, number of those that may be outstanding, and for events of a queue the connection string and the table.
pub(crate) const PUBLISH: &str = "nats-publish";

/// How long to wait for an acknowledgement.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// The columns that become a message.
struct Columns<'a> {
    id: i64,
    time: DateTime<Utc>,
    retry: i32,
    event_type: &'a str,
    extra1: &'a str,
    data: &'a str,
}

/// Publishes events.
///
/// # Errors
///
/// When the arguments are invalid, a server fails, or a message is not stored.
pub(crate) fn run(args: &[String]) -> Result<(), BoxError> {
    let [_, url, events, form, every, outstanding, source @ ..] = args else {
        return Err("invalid arguments".into());
    };
    Runtime::new()?.block_on(async {
        let client = async_nats::connect(url.as_str()).await?;
        let inbox = client.new_inbox();
        let mut publisher = Publisher {
            acknowledgements: client.subscribe(inbox.clone()).await?,
            inbox,
            client,
            events: events.parse()?,
            every: every.parse()?,
            most_outstanding: outstanding.parse()?,
            outstanding: 0,
            has_headers: form == "headers",
            sent: 0,
        };
        match source {
            [conninfo, table] => publisher.publish_table(conninfo, table).await,
            _ => publisher.publish_made().await,
        }
    })
}

struct Publisher {
    client: Client,
    inbox: String,
    acknowledgements: Subscriber,
    events: u64,
    every: u64,
    most_outstanding: u64,
    outstanding: u64,
    has_headers: bool,
    sent: u64,
}

impl Publisher {
    /// Makes events as they are in the queue.
    async fn publish_made(&mut self) -> Result<(), BoxError> {
        let time = Utc::now();
        for number in 1..=self.events {
            let data = crate_client::text(number);
            let id = i64::try_from(number)?;
            let columns =
                Columns { id, time, retry: 0, event_type: "I", extra1: "public.orders", data: &data };
            self.send(&columns).await?;
        }
        Ok(())
    }

    /// Reads the events of a queue's table.
    async fn publish_table(&mut self, conninfo: &str, table: &str) -> Result<(), BoxError> {
        let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
        let connection = tokio::spawn(connection);
        let columns = "ev_id, ev_time, coalesce(ev_retry, 0), ev_type, ev_extra1, ev_data";
        let columns = if self.has_headers { columns } else { "ev_data" };
        let rows = client.query_raw::<_, &str, _>(&format!("select {columns} from {table}"), []).await?;
        let mut rows = std::pin::pin!(rows);
        let time = Utc::now();
        while let Some(row) = rows.try_next().await? {
            let columns = if self.has_headers {
                Columns {
                    id: row.try_get(0)?,
                    time: row.try_get(1)?,
                    retry: row.try_get(2)?,
                    event_type: row.try_get(3)?,
                    extra1: row.try_get(4)?,
                    data: row.try_get(5)?,
                }
            } else {
                Columns { id: 0, time, retry: 0, event_type: "I", extra1: "", data: row.try_get(0)? }
            };
            self.send(&columns).await?;
        }
        drop(client);
        connection.await??;
        Ok(())
    }

    async fn send(&mut self, columns: &Columns<'_>) -> Result<(), BoxError> {
        self.sent += 1;
        let is_last = self.sent == self.events;
        let (payload, subject) = (columns.data.as_bytes().to_vec().into(), SUBJECT);
        if !self.sent.is_multiple_of(self.every) && !is_last {
            match self.has_headers {
                true => self.client.publish_with_headers(subject, headers(columns), payload).await?,
                false => self.client.publish(subject, payload).await?,
            }
            return Ok(());
        }
        let reply = self.inbox.clone();
        match self.has_headers {
            true => {
                let headers = headers(columns);
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload).await?;
            }
            false => self.client.publish_with_reply(subject, reply, payload).await?,
        }
        self.outstanding += 1;
        self.wait_until_outstanding(if is_last { 0 } else { self.most_outstanding }).await
    }

    async fn wait_until_outstanding(&mut self, most: u64) -> Result<(), BoxError> {
        while self.outstanding > most {
            let reply = timeout(REPLY_TIMEOUT, self.acknowledgements.next()).await;
            let reply = reply.map_err(|_| "no acknowledgement")?.ok_or("the connection is closed")?;
            // An acknowledgement begins with the name of the stream.
            if !reply.payload.starts_with(b"{\"stream\"") {
                return Err(format!("not stored: {:?} {:?}", reply.status, reply.payload).into());
            }
            self.outstanding -= 1;
        }
        Ok(())
    }
}

/// Returns the same headers as those of the mover.
fn headers(columns: &Columns<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Pgq-Event-Id", columns.id.to_string());
    headers.insert("Pgq-Event-Time", columns.time.to_rfc3339_opts(SecondsFormat::Micros, true));
    headers.insert("Pgq-Event-Type", columns.event_type);
    headers.insert("Pgq-Retry", columns.retry.to_string());
    headers.insert("Pgq-Extra1", columns.extra1);
    headers
}
