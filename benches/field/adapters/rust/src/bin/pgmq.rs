//! pgmq, whose SQL the crate contains.
//!
//! - Each worker is a task that reads up to 100 messages (`read_batch_with_poll`), handles them one after the other and
//!   deletes them in one call, as pgmq's documentation does (`docs/api/sql/functions.md`, `pgmq-rs/README.md`).
//! - The visibility timeout is 30 seconds, that of the documentation. The server checks for messages every 50 ms; the
//!   default of 250 ms would be the latency.
//! - A failed message is visible again after a second, three times, and then goes to the archive. pgmq itself does neither.
//! - Where handlers write into a table, they write in the transaction that deletes the messages.
//! - Single messages are sent by `send_with_cxn`, several by `send_batch_with_cxn`, on a connection that the producer keeps: a
//!   pool would check it before and after each call, two more round trips.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use field_adapters::{
    Adapter, BoxError, Consumption, Descriptor, Handling, Payload, Production, Settings, ready,
};
use pgmq::{Message, PGMQueueExt};
use sqlx_08::postgres::PgPoolOptions;
use sqlx_08::{Connection, PgConnection};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

const VISIBILITY: i32 = 30;
const BATCH: i32 = 100;
const POLL_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(100);
const MAX_RETRIES: i32 = 3;

fn main() -> ExitCode {
    field_adapters::main::<Pgmq>()
}

struct Pgmq {
    url: String,
}

impl Adapter for Pgmq {
    fn new(settings: &Settings) -> Result<Pgmq, BoxError> {
        Ok(Pgmq { url: settings.url.clone() })
    }

    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError> {
        Runtime::new()?.block_on(async {
            let queue = self.connect(1).await?;
            queue.install_sql_from_embedded().await?;
            for consumer in 0..consumers {
                queue.create(&name(consumer)).await?;
            }
            let version = queue.installed_version().await?;
            Ok(Descriptor {
                system: "pgmq".to_owned(),
                version: "0.33.7".to_owned(),
                schema_version: version.map(|version| version.to_string()).unwrap_or_default(),
            })
        })
    }

    fn produce(&self, production: &Production) -> Result<(), BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let queue = runtime.block_on(self.connect(1))?;
        let names = runtime.block_on(names(&queue))?;
        let mut connection = runtime.block_on(PgConnection::connect(&self.url))?;
        production.run(|numbers| {
            let payloads: Vec<Payload> = production.payloads(numbers).collect();
            runtime.block_on(send(&queue, &mut connection, &names, &payloads))
        })
    }

    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError> {
        let connections = u32::try_from(consumption.workers)?;
        Runtime::new()?.block_on(async {
            let queue = self.connect(connections).await?;
            let (stop, stopped) = watch::channel(false);
            let mut tasks = JoinSet::new();
            for _ in 0..consumption.workers {
                let worker = Worker {
                    queue: queue.clone(),
                    name: name(consumption.consumer),
                    into_table: consumption.into_table,
                    handling: Arc::clone(&consumption.handling),
                    stopped: stopped.clone(),
                };
                tasks.spawn(worker.run());
            }
            ready()?;
            consumption.handling.end().await;
            stop.send_replace(true);
            tasks.join_all().await;
            Ok(())
        })
    }
}

impl Pgmq {
    async fn connect(&self, connections: u32) -> Result<PGMQueueExt, BoxError> {
        // `PGMQueueExt::new` needs a password.
        let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections);
        let pool = pool.connect(&self.url).await?;
        Ok(PGMQueueExt::new_with_pool(pool).await)
    }
}

/// Returns the queue of a consumer. Each consumer has a queue of its own.
fn name(consumer: u32) -> String {
    format!("field_{consumer}")
}

async fn names(queue: &PGMQueueExt) -> Result<Vec<String>, BoxError> {
    let queues = queue.list_queues().await?.unwrap_or_default();
    Ok(queues.into_iter().map(|queue| queue.queue_name).collect())
}

/// Sends messages to all queues, in one transaction.
async fn send(
    queue: &PGMQueueExt,
    connection: &mut PgConnection,
    names: &[String],
    payloads: &[Payload],
) -> Result<(), BoxError> {
    if let ([name], [payload]) = (names, payloads) {
        queue.send_with_cxn(name, payload, connection).await?;
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    for name in names {
        queue.send_batch_with_cxn(name, payloads, &mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// A task that handles messages.
struct Worker {
    queue: PGMQueueExt,
    name: String,
    into_table: bool,
    handling: Arc<Handling>,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    async fn run(mut self) {
        while !*self.stopped.borrow() {
            let read = self.queue.read_batch_with_poll::<Payload>(
                &self.name,
                VISIBILITY,
                BATCH,
                Some(POLL_TIMEOUT),
                Some(POLL_INTERVAL),
            );
            let messages = tokio::select! {
                messages = read => messages,
                _ = self.stopped.changed() => return,
            };
            let handled = match messages {
                Ok(messages) => self.handle(messages.unwrap_or_default()).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = handled {
                log::warn!("{error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn handle(&self, messages: Vec<Message<Payload>>) -> Result<(), BoxError> {
        let mut done = Vec::new();
        for message in messages {
            match self.handling.handle_async(message.message.n).await {
                Ok(()) => done.push(message),
                Err(_) if message.read_ct > MAX_RETRIES => {
                    self.queue.archive(&self.name, message.msg_id).await?;
                }
                Err(_) => _ = self.queue.set_vt::<Payload>(&self.name, message.msg_id, 1).await?,
            }
        }
        let ids: Vec<i64> = done.iter().map(|message| message.msg_id).collect();
        match (ids.is_empty(), self.into_table) {
            (true, _) => {}
            (false, false) => _ = self.queue.delete_batch(&self.name, &ids).await?,
            (false, true) => self.delete_with_effects(&done, &ids).await?,
        }
        Ok(())
    }

    async fn delete_with_effects(&self, done: &[Message<Payload>], ids: &[i64]) -> Result<(), BoxError> {
        let mut transaction = self.queue.connection.begin().await?;
        for message in done {
            let insert = sqlx_08::query("insert into handled (n, by) values ($1, $2)");
            let insert = insert.bind(i64::try_from(message.message.n)?).bind(std::process::id().to_string());
            insert.execute(&mut *transaction).await?;
        }
        let deleted = self.queue.delete_batch_with_cxn(&self.name, ids, &mut *transaction).await?;
        if deleted < ids.len() {
            return Err("another worker has received these messages".into());
        }
        Ok(transaction.commit().await?)
    }
}
