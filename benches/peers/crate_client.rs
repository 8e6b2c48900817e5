//! The crate's consumer and producer, which run in separate processes of this program.

use std::thread;
use std::time::Duration;

use pgq::{Batch, BoxError, BulkInsert, Consumer, Event, NewEvent, Outcome, Settings, Subscription};
use postgres::{Client, NoTls};

/// Runs the consumer. Arguments: connection string, queue, consumer, expected number of events.
pub(crate) const CONSUME: &str = "consume";
/// Runs the producer. Arguments: connection string, queue, number of events.
pub(crate) const INSERT: &str = "insert";
/// Runs a subconsumer until there are no more batches. Arguments: connection string, queue, consumer, subconsumer.
pub(crate) const TEAM: &str = "team";

/// The time of a member's handler for each event.
const WORK: Duration = Duration::from_millis(1);

/// The number of different events, which the producer inserts repeatedly.
pub(crate) const DISTINCT: u64 = 1_000;

struct Nothing;

impl Consumer for Nothing {
    fn process_event(&mut self, _event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        Ok(Outcome::Done)
    }
}

struct Waiting;

impl Consumer for Waiting {
    fn process_event(&mut self, _event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        thread::sleep(WORK);
        Ok(Outcome::Done)
    }
}

/// Runs a consumer or the producer, as the first argument selects.
///
/// # Errors
///
/// When the arguments are invalid, the server fails, or the batch does not have the expected number of events.
pub(crate) fn run(args: &[String]) -> Result<(), BoxError> {
    match args {
        [command, conninfo, queue, consumer, events] if command == CONSUME => {
            consume(conninfo, &Subscription::new(Settings::new(queue, consumer)), events.parse()?)
        }
        [command, conninfo, queue, events] if command == INSERT => insert(conninfo, queue, events.parse()?),
        [command, conninfo, queue, consumer, member] if command == TEAM => {
            let mut settings = Settings::new(queue, consumer);
            settings.subconsumer = Some(member.clone());
            // Each tick is a batch, so that there is one for each member.
            settings.merge_events = 0;
            consume_all(conninfo, &Subscription::new(settings))
        }
        _ => Err("invalid arguments".into()),
    }
}

fn consume(conninfo: &str, subscription: &Subscription, expected: u64) -> Result<(), BoxError> {
    let mut client = Client::connect(conninfo, NoTls)?;
    let info = subscription.next_batch(&mut client)?.ok_or("there is no batch")?;
    let mut batch = Batch::open(&mut client, subscription, info)?;
    Nothing.process_batch(&mut batch)?;
    if batch.count() != expected {
        return Err(format!("{} events instead of {expected}", batch.count()).into());
    }
    Ok(batch.finish()?)
}

fn consume_all(conninfo: &str, subscription: &Subscription) -> Result<(), BoxError> {
    let mut client = Client::connect(conninfo, NoTls)?;
    while let Some(info) = subscription.next_batch(&mut client)? {
        let mut batch = Batch::open(&mut client, subscription, info)?;
        Waiting.process_batch(&mut batch)?;
        batch.finish()?;
    }
    Ok(())
}

fn insert(conninfo: &str, queue: &str, events: u64) -> Result<(), BoxError> {
    let mut client = Client::connect(conninfo, NoTls)?;
    let mut transaction = client.transaction()?;
    let mut bulk = BulkInsert::start(&mut transaction, queue)?;
    for n in 0..events {
        bulk.write(&NewEvent::new("I", text(n % DISTINCT)).extra([Some("public.orders"), None, None, None]))?;
    }
    bulk.finish()?;
    Ok(transaction.commit()?)
}

/// Returns the data of the different events.
pub(crate) fn texts() -> Vec<String> {
    (0..DISTINCT).map(text).collect()
}

/// Makes the data of one event, 75 bytes.
pub(crate) fn text(i: u64) -> String {
    format!("{:x<75}", format!("id={i}&customer={}&note=", i * 7919 % 100_003))
}
