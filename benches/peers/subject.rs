//! The parts that run in processes of their own: the crate's consumer and producer.

use pgq::{Batch, BoxError, BulkInsert, Consumer, Event, NewEvent, Outcome, Settings, Subscription};
use postgres::{Client, NoTls};

/// Names the part that consumes: connection string, queue, consumer, number of events to expect.
pub(crate) const CONSUME: &str = "consume";
/// Names the part that inserts: connection string, queue, number of events.
pub(crate) const INSERT: &str = "insert";

/// How many different events are inserted, over and over.
pub(crate) const DISTINCT: u64 = 1_000;

struct Nothing;

impl Consumer for Nothing {
    fn process_event(&mut self, _event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        Ok(Outcome::Done)
    }
}

/// Runs the part that the arguments name.
///
/// # Errors
///
/// When the arguments are wrong, the server fails, or a batch has not the expected number of events.
pub(crate) fn run(args: &[String]) -> Result<(), BoxError> {
    match args {
        [part, conninfo, queue, consumer, events] if part == CONSUME => {
            consume(conninfo, &Subscription::new(Settings::new(queue, consumer)), events.parse()?)
        }
        [part, conninfo, queue, events] if part == INSERT => insert(conninfo, queue, events.parse()?),
        _ => Err("wrong arguments".into()),
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

fn insert(conninfo: &str, queue: &str, events: u64) -> Result<(), BoxError> {
    let mut client = Client::connect(conninfo, NoTls)?;
    let mut transaction = client.transaction()?;
    let mut bulk = BulkInsert::start(&mut transaction, queue)?;
    for n in 0..events {
        bulk.write(&NewEvent::new("I", &text(n % DISTINCT)).extra([
            Some("public.orders"),
            None,
            None,
            None,
        ]))?;
    }
    bulk.finish()?;
    Ok(transaction.commit()?)
}

/// Returns the data of the events that are inserted.
pub(crate) fn texts() -> Vec<String> {
    (0..DISTINCT).map(text).collect()
}

/// Makes the data of one event, 75 bytes.
fn text(i: u64) -> String {
    format!("{:x<75}", format!("id={i}&customer={}&note=", i * 7919 % 100_003))
}
