//! The producers: one inserts a few events in each transaction, the other many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dbscript::BoxError;
use pgq::NewEvent;
use postgres::{Client, NoTls};

use crate::SOURCE_QUEUE;
use crate::server::Server;

/// The producer of small transactions inserts one in this many events.
const SMALL_SHARE: u64 = 25;
const EVENTS_PER_TRANSACTION: u64 = 5;
const EVENTS_PER_BURST: u64 = 5_000;
const PAUSE_AFTER_BURST: Duration = Duration::from_millis(75);

/// Two producers, each with its own thread and connection.
pub(crate) struct Load {
    events: u64,
    produced: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<(), BoxError>>>,
}

impl Load {
    /// Starts the producers, which insert `events` events in all.
    pub(crate) fn start(server: &Server, events: u64) -> Result<Load, BoxError> {
        let produced = Arc::new(AtomicU64::new(0));
        let small = events.div_ceil(SMALL_SHARE);
        let mut threads = Vec::new();
        for (produce, count) in [(place_orders as Produce, small), (take_readings, events - small)] {
            let mut client = Client::connect(&server.conninfo("sourcedb"), NoTls)?;
            let produced = Arc::clone(&produced);
            threads.push(thread::Builder::new().spawn(move || produce(&mut client, count, &produced))?);
        }
        Ok(Load { events, produced, threads })
    }

    /// Returns the total number of events.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Returns the number of committed events.
    pub(crate) fn produced(&self) -> u64 {
        self.produced.load(Ordering::Relaxed)
    }

    /// Fails when a producer has failed.
    pub(crate) fn check(&mut self) -> Result<(), BoxError> {
        while let Some(ended) = self.threads.iter().position(JoinHandle::is_finished) {
            self.threads.remove(ended).join().map_err(|_| "a producer panicked")??;
        }
        Ok(())
    }
}

type Produce = fn(&mut Client, u64, &AtomicU64) -> Result<(), BoxError>;

/// Inserts events one by one, as an application does in its transactions.
fn place_orders(client: &mut Client, count: u64, produced: &AtomicU64) -> Result<(), BoxError> {
    let mut order = 0;
    while order < count {
        let last = count.min(order + EVENTS_PER_TRANSACTION);
        let mut transaction = client.transaction()?;
        for order in order..last {
            let data = format!(r#"{{"order": {order}, "customer": "Zoë №{}", "paid": null}}"#, order % 977);
            pgq::insert_event(&mut transaction, SOURCE_QUEUE, "order.placed", &data)?;
        }
        transaction.commit()?;
        produced.fetch_add(last - order, Ordering::Relaxed);
        order = last;
    }
    Ok(())
}

/// Inserts events in bursts, as an import does.
fn take_readings(client: &mut Client, count: u64, produced: &AtomicU64) -> Result<(), BoxError> {
    let mut reading = 0;
    while reading < count {
        let last = count.min(reading + EVENTS_PER_BURST);
        let burst: Vec<(String, String)> =
            (reading..last).map(|number| (sensor(number), data(number))).collect();
        let events = burst.iter().map(|(sensor, data)| {
            let comment = (data.len() % 2 == 0).then_some("tab\t, backslash \\, °C");
            NewEvent::new("reading.taken", data).extra([Some(sensor), comment, Some(""), None])
        });
        let inserted = pgq::bulk_insert(client, SOURCE_QUEUE, events)?;
        produced.fetch_add(inserted, Ordering::Relaxed);
        reading = last;
        thread::sleep(PAUSE_AFTER_BURST);
    }
    Ok(())
}

fn sensor(number: u64) -> String {
    format!("sensor-{:03}", number % 1000)
}

fn data(number: u64) -> String {
    format!(r#"{{"reading": {number}, "celsius": {}.{}}}"#, number % 41, number % 10)
}
