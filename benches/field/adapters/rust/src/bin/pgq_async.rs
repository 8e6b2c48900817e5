//! This project, asynchronous consumers and producers.
//!
//! - Ticker, retries and inserts are those of the blocking adapter.
//! - Handlers run many events at once (`pgq::aio::Handlers`), each event at least once. Handlers that write into a table get a
//!   transaction that records the event too, so that they write exactly once (`pgq_ext::sqlx::ExactlyOnce`, see
//!   `pgq::guide::exactly_once`).

use std::process::ExitCode;
use std::sync::Arc;

use field_adapters::{Adapter, Consumption, Descriptor, Handling, Production, Settings, number, ready};
use pgq::aio::{Handlers, Worker};
use pgq::consume::{Health, HealthProbe};
use pgq::{BoxError, Event, NewEvent};
use pgq_ext::sqlx::{ExactlyOnce, Tx};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

#[path = "../pgq_common.rs"]
mod pgq_common;

use pgq_common::{EVENT_TYPE, Options, POLL, QUEUE, consumer_name, retry_policy};

fn main() -> ExitCode {
    field_adapters::main::<Asynchronous>()
}

struct Asynchronous(Options);

impl Adapter for Asynchronous {
    fn new(settings: &Settings) -> Result<Asynchronous, BoxError> {
        Ok(Asynchronous(Options::new(settings)?))
    }

    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError> {
        let descriptor = pgq_common::setup(&self.0, consumers)?;
        pgq_ext::schema::install(&mut postgres::Client::connect(&self.0.url, NoTls)?)?;
        Ok(descriptor)
    }

    fn serve(&self) -> Result<(), BoxError> {
        pgq_common::serve(&self.0)
    }

    fn produce(&self, production: &Production) -> Result<(), BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut client = runtime.block_on(connect(&self.0.url))?;
        production.run(|numbers| {
            let data: Vec<String> = production.texts(numbers).collect();
            runtime.block_on(insert(&mut client, &data, production.is_single()))
        })
    }

    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError> {
        let consumer = consumer_name(consumption.consumer);
        let worker = Worker::new(&self.0.url, QUEUE, &consumer).retry(retry_policy());
        let health = worker.health();
        let (handling, end) = (Arc::clone(&consumption.handling), Arc::clone(&consumption.handling));
        let end = async move { end.end().await };
        Runtime::new()?.block_on(async {
            tokio::spawn(report_ready(health));
            let handlers = match consumption.into_table {
                true => writing_handlers(handling, &self.0.url, consumption.workers)?,
                false => handlers(handling),
            };
            Ok(worker.run_until(handlers.concurrency(consumption.workers), end).await?)
        })
    }
}

/// Reports that the consumer has looked for a batch.
async fn report_ready(health: HealthProbe) -> Result<(), BoxError> {
    while health.get() == Health::Starting {
        tokio::time::sleep(POLL).await;
    }
    ready()
}

async fn connect(url: &str) -> Result<Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::error!("the connection is lost: {error}");
        }
    });
    Ok(client)
}

async fn insert(client: &mut Client, data: &[String], is_single: bool) -> Result<(), BoxError> {
    if is_single {
        for data in data {
            pgq::tokio::insert_event(client, QUEUE, EVENT_TYPE, data).await?;
        }
        return Ok(());
    }
    let events = data.iter().map(|data| NewEvent::new(EVENT_TYPE, data));
    pgq::tokio::bulk_insert(client, QUEUE, events).await?;
    Ok(())
}

fn handlers(handling: Arc<Handling>) -> Handlers {
    let handler = move |event: Event| {
        let handling = Arc::clone(&handling);
        async move {
            let number = number(event.data().unwrap_or_default())?;
            handling.handle_async(number).await.map_err(BoxError::from)
        }
    };
    Handlers::new().on(EVENT_TYPE, handler)
}

/// Makes handlers that insert a row, exactly once.
fn writing_handlers(handling: Arc<Handling>, url: &str, workers: usize) -> Result<Handlers, BoxError> {
    let pool = PgPoolOptions::new().max_connections(u32::try_from(workers)?).connect_lazy(url)?;
    let handler = ExactlyOnce::new(pool).handler(move |event: Event, mut tx: Tx| {
        let handling = Arc::clone(&handling);
        async move {
            let number = number(event.data().unwrap_or_default())?;
            handling.handle_async(number).await?;
            let insert = sqlx::query("insert into handled (n, by) values ($1, $2)");
            let insert = insert.bind(i64::try_from(number)?).bind(std::process::id().to_string());
            insert.execute(&mut *tx).await?;
            Ok::<_, BoxError>(())
        }
    });
    Ok(Handlers::new().on(EVENT_TYPE, handler))
}
