//! This project, asynchronous consumers and producers.
//!
//! - Ticker, retries and inserts are those of the blocking adapter.
//! - Handlers run many events at once (`pgq::aio::Handlers`), each event at least once. Where handlers write into a table,
//!   the consumer is a `pgq::aio::Consumer`, which handles one event after the other and commits with the batch
//!   (`pgq::guide::transactional_or_concurrent`).

use std::process::ExitCode;
use std::sync::Arc;

use field_adapters::{Adapter, Consumption, Descriptor, Handling, Production, Settings, number, ready};
use pgq::aio::{Batch, Consumer, Handlers, Worker};
use pgq::{BoxError, Event, NewEvent, Outcome};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

#[path = "../pgq_common.rs"]
mod pgq_common;

use pgq_common::{EVENT_TYPE, QUEUE, consumer_name, retry_policy};

fn main() -> ExitCode {
    field_adapters::main::<Asynchronous>()
}

struct Asynchronous {
    url: String,
    schema: String,
}

impl Adapter for Asynchronous {
    fn new(settings: &Settings) -> Result<Asynchronous, BoxError> {
        Ok(Asynchronous { url: settings.url.clone(), schema: settings.get("schema")? })
    }

    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError> {
        pgq_common::setup(&self.url, &self.schema, consumers)
    }

    fn serve(&self) -> Result<(), BoxError> {
        pgq_common::serve(&self.url)
    }

    fn produce(&self, production: &Production) -> Result<(), BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut client = runtime.block_on(connect(&self.url))?;
        production.run(|numbers| {
            let data: Vec<String> = production.payloads(numbers).collect();
            runtime.block_on(insert(&mut client, &data, production.is_single()))
        })
    }

    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError> {
        let consumer = consumer_name(consumption.consumer);
        let worker = Worker::new(&self.url, QUEUE, &consumer).retry(retry_policy());
        let (handling, end) = (Arc::clone(&consumption.handling), Arc::clone(&consumption.handling));
        let end = async move { end.end().await };
        Runtime::new()?.block_on(async {
            ready()?;
            match consumption.into_table {
                true => worker.run_until(IntoTable(handling), end).await?,
                false => worker.run_until(handlers(handling, consumption.workers), end).await?,
            }
            Ok(())
        })
    }
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

fn handlers(handling: Arc<Handling>, concurrency: usize) -> Handlers {
    let handler = move |event: Event| {
        let handling = Arc::clone(&handling);
        async move {
            let number = number(event.data().unwrap_or_default())?;
            handling.handle_async(number).await.map_err(BoxError::from)
        }
    };
    Handlers::new().on(EVENT_TYPE, handler).concurrency(concurrency)
}

struct IntoTable(Arc<Handling>);

impl Consumer for IntoTable {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        let number = number(event.data().unwrap_or_default())?;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&i64::try_from(number)?, &std::process::id().to_string()];
        batch.db().await?.execute("insert into handled (n, by) values ($1, $2)", &values).await?;
        self.0.handle_async(number).await?;
        Ok(Outcome::Done)
    }
}
