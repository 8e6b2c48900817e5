//! This project, blocking consumers and producers.
//!
//! - The ticker is `pgq::Ticker` with a `loop_delay` of 5 ms, and the queue's `ticker_max_lag` is 5 ms. README.md names 1 ms as the
//!   lowest setting. It makes five times as many ticks, each of which is a commit, and its median latency is hardly lower.
//!   `--tick-ms` changes both.
//! - A consumer commits the writes of its handlers together with the batch. Several workers are subconsumers, as
//!   `pgq::guide::scaling_out` describes, each on a thread of its own.
//! - A failed event is retried after a second, three times, and then kept as a failed event (`pgq::guide::retries`).
//! - Single events are inserted by `pgq::insert_event`, several in a transaction by `pgq::bulk_insert`.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use field_adapters::{Adapter, Consumption, Descriptor, Handling, Production, Settings, number, ready};
use pgq::consume::Health;
use pgq::{Batch, BoxError, Consumer, Event, NewEvent, Outcome, Worker, WorkerHandle};
use postgres::{Client, NoTls};

#[path = "../pgq_common.rs"]
mod pgq_common;

use pgq_common::{EVENT_TYPE, Options, POLL, QUEUE, consumer_name, retry_policy};

fn main() -> ExitCode {
    field_adapters::main::<Blocking>()
}

struct Blocking(Options);

impl Adapter for Blocking {
    fn new(settings: &Settings) -> Result<Blocking, BoxError> {
        Ok(Blocking(Options::new(settings)?))
    }

    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError> {
        pgq_common::setup(&self.0, consumers)
    }

    fn serve(&self) -> Result<(), BoxError> {
        pgq_common::serve(&self.0)
    }

    fn produce(&self, production: &Production) -> Result<(), BoxError> {
        let mut client = Client::connect(&self.0.url, NoTls)?;
        production.run(|numbers| {
            if production.is_single() {
                for data in production.texts(numbers) {
                    pgq::insert_event(&mut client, QUEUE, EVENT_TYPE, &data)?;
                }
                return Ok(());
            }
            let data: Vec<String> = production.texts(numbers).collect();
            let events = data.iter().map(|data| NewEvent::new(EVENT_TYPE, data));
            pgq::bulk_insert(&mut client, QUEUE, events)?;
            Ok(())
        })
    }

    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError> {
        let workers = (0..consumption.workers)
            .map(|worker| self.worker(consumption, worker))
            .collect::<Result<Vec<WorkerHandle>, BoxError>>()?;
        while workers.iter().any(|worker| worker.health() == Health::Starting) {
            thread::sleep(POLL);
        }
        ready()?;
        consumption.handling.wait_for_end()?;
        workers.iter().for_each(WorkerHandle::stop);
        workers.into_iter().try_for_each(|worker| Ok(worker.join()?))
    }
}

impl Blocking {
    fn worker(&self, consumption: &Consumption, worker: usize) -> Result<WorkerHandle, BoxError> {
        let mut settings = pgq::Settings::new(QUEUE, &consumer_name(consumption.consumer));
        settings.retry_policy = Some(retry_policy());
        if consumption.workers > 1 {
            settings.subconsumer = Some(format!("worker_{worker}"));
        }
        let handler =
            Handler { handling: Arc::clone(&consumption.handling), into_table: consumption.into_table };
        Ok(Worker::with_settings(&self.0.url, settings).spawn(handler)?)
    }
}

struct Handler {
    handling: Arc<Handling>,
    into_table: bool,
}

impl Consumer for Handler {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let number = number(event.data().unwrap_or_default())?;
        if self.into_table {
            let insert = "insert into handled (n, by) values ($1, $2)";
            batch.db()?.execute(insert, &[&i64::try_from(number)?, &std::process::id().to_string()])?;
        }
        self.handling.handle(number)?;
        Ok(Outcome::Done)
    }
}
