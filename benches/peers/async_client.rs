//! The crate's asynchronous consumer, which runs in separate processes of this program.
//!
//! Handlers wait by a timer of `futures-timer`: the timer of `tokio` rounds up to the next millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_timer::Delay;
use pgq::aio::{Batch, Consumer, Delivery, Handlers, Worker};
use pgq::{BoxError, Event, Outcome};
use pgq_ext::sqlx::{ExactlyOnce, Tx};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;

/// Consumes in the batch's transaction. Arguments: connection string, queue, consumer, expected number of events.
pub(crate) const TRANSACTIONAL: &str = "async-transactional";
/// Consumes with concurrent handlers. Arguments: as above; milliseconds of a handler, events at once, whether the events
/// of a key are handled in order.
pub(crate) const CONCURRENT: &str = "async-concurrent";
/// Inserts a row for each event, each in a transaction of its own that records the event. Arguments: connection string,
/// queue, consumer, expected number of events; events at once; the URL of the database.
pub(crate) const EXACTLY_ONCE: &str = "async-exactly-once";
/// Runs the handlers without a queue. Arguments: number of calls, milliseconds of a handler, calls at once.
pub(crate) const TIMER: &str = "async-timer";

/// Runs the client that the first argument selects.
///
/// # Errors
///
/// When the arguments are invalid, and when the worker fails.
pub(crate) fn run(args: &[String]) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args {
            [command, conninfo, queue, consumer, events] if command == TRANSACTIONAL => {
                let worker = Worker::new(conninfo, queue, consumer);
                let countdown = Countdown::new(events.parse()?);
                consume(worker, Nothing(countdown.clone()), &countdown).await
            }
            [command, conninfo, queue, consumer, events, millis, at_once, order] if command == CONCURRENT => {
                let worker = Worker::new(conninfo, queue, consumer);
                let countdown = Countdown::new(events.parse()?);
                let handlers = waiting(&countdown, millis.parse()?, at_once.parse()?);
                let handlers = if order == "ordered" { handlers.ordered_by(Event::extra1) } else { handlers };
                consume(worker, handlers, &countdown).await
            }
            [command, conninfo, queue, consumer, events, at_once, url] if command == EXACTLY_ONCE => {
                let worker = Worker::new(conninfo, queue, consumer);
                let countdown = Countdown::new(events.parse()?);
                consume(worker, inserting(&countdown, at_once.parse()?, url)?, &countdown).await
            }
            [command, calls, millis, at_once] if command == TIMER => {
                wait_only(calls.parse()?, millis.parse()?, at_once.parse()?).await
            }
            _ => Err("invalid arguments".into()),
        }
    })
}

/// Counts the events that are still to come.
#[derive(Clone)]
struct Countdown(Arc<(AtomicU64, Notify)>);

impl Countdown {
    fn new(events: u64) -> Countdown {
        Countdown(Arc::new((AtomicU64::new(events), Notify::new())))
    }

    fn count(&self) {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }
}

/// Runs a worker until all events were handled and their batch is finished.
async fn consume(worker: Worker, delivery: impl Delivery, countdown: &Countdown) -> Result<(), BoxError> {
    Ok(worker.run_until(delivery, countdown.0.1.notified()).await?)
}

struct Nothing(Countdown);

impl Consumer for Nothing {
    async fn process_event(&mut self, _event: &Event, _batch: &mut Batch) -> Result<Outcome, BoxError> {
        self.0.count();
        Ok(Outcome::Done)
    }
}

/// Makes handlers that wait.
fn waiting(countdown: &Countdown, millis: u64, at_once: usize) -> Handlers {
    let (countdown, time) = (countdown.clone(), Duration::from_millis(millis));
    let handler = move |_: Event| {
        let countdown = countdown.clone();
        async move {
            Delay::new(time).await;
            countdown.count();
            Ok::<_, BoxError>(())
        }
    };
    Handlers::new().on("I", handler).concurrency(at_once)
}

/// Makes handlers that insert a row in a transaction of their own.
fn inserting(countdown: &Countdown, at_once: u32, url: &str) -> Result<Handlers, BoxError> {
    let once = ExactlyOnce::new(PgPoolOptions::new().max_connections(at_once).connect_lazy(url)?);
    let countdown = countdown.clone();
    let handler = once.handler(move |event: Event, mut tx: Tx| {
        let countdown = countdown.clone();
        async move {
            let insert = sqlx::query("insert into applied (event) values ($1)").bind(event.id());
            insert.execute(&mut *tx).await?;
            countdown.count();
            Ok::<_, BoxError>(())
        }
    });
    Ok(Handlers::new().on("I", handler).concurrency(at_once.try_into()?))
}

/// Waits as often as handlers would, in as many tasks.
async fn wait_only(calls: u64, millis: u64, at_once: u64) -> Result<(), BoxError> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        tasks.spawn(async move {
            for _ in 0..calls / at_once {
                Delay::new(Duration::from_millis(millis)).await;
            }
        });
    }
    tasks.join_all().await;
    Ok(())
}
