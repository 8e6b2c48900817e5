//! Consumers of asynchronous services.

mod batches;
pub(crate) mod cancelled;
mod commit_in;
mod concurrent;
mod crash;
mod lost_lock;
#[cfg(feature = "drivers")]
mod once;
mod order;
mod pages;
mod reading;
mod refused;
mod retries;
mod runtimes;
mod seen;
mod sharing;
mod shutdown;
mod silence;
mod standby;
mod streams;
mod twins;
mod worker;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pgq::aio::{Batch, Consumer};
use pgq::schema::Kind;
use pgq::{BoxError, Event, Outcome, Settings};
use postgres::{Client, NoTls};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Database, queues, templates};

pub(crate) const QUEUE: &str = "orders";
pub(crate) const CONSUMER: &str = "billing";
pub(crate) const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// Returns a database of this kind with a queue, a registered consumer, and a table for effects.
pub(crate) fn database(kind: Kind) -> (Database, Client) {
    prepared(templates::installed(kind, "aio"))
}

fn prepared((database, mut client): (Database, Client)) -> (Database, Client) {
    prepare(&mut client);
    (database, client)
}

/// Creates a queue, a registered consumer, and a table for effects.
pub(crate) fn prepare(client: &mut Client) {
    queues::create(client, QUEUE);
    pgq::admin::register_consumer(client, QUEUE, CONSUMER).expect("registered");
    client.batch_execute("create table effect (event bigint, data text)").expect("created");
}

/// Inserts events `event FROM` and so on, and makes a tick.
pub(crate) fn insert(client: &mut Client, from: i64, count: i64) {
    queues::insert(client, QUEUE, from, count);
    queues::tick(client, QUEUE);
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// Runs a task on the threads of a runtime, which takes futures that may be sent.
pub(crate) fn run<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = runtime();
    runtime.block_on(runtime.spawn(task)).expect("no panic")
}

/// Ends the sessions of the consumer.
const TERMINATE: &str = "select pg_terminate_backend(pid, 10000) from pg_stat_activity \
     where datname = current_database() and application_name = 'billing'";

/// Runs a statement in another session, amid asynchronous code.
fn execute(conninfo: &str, statement: &str) {
    let (conninfo, statement) = (conninfo.to_owned(), statement.to_owned());
    let done = thread::spawn(move || {
        let mut client = Client::connect(&conninfo, NoTls).expect("connected");
        client.batch_execute(&statement).expect("done");
    });
    done.join().expect("no panic");
}

pub(crate) fn settings() -> Settings {
    Settings::new(QUEUE, CONSUMER)
}

/// Returns the data of the effects, in the order of the events.
pub(crate) fn effects(client: &mut Client) -> Vec<String> {
    let rows = client.query("select data from effect order by event, data", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

pub(crate) fn expected(from: i64, count: i64) -> Vec<String> {
    (from..from + count).map(|number| format!("event {number}")).collect()
}

/// Returns whether the consumer has read everything, and no event is to come back.
pub(crate) fn is_done(client: &mut Client) -> bool {
    let query = "select not exists (select from pgq.subscription join pgq.queue on queue_id = sub_queue \
             where sub_batch is not null or sub_last_tick <> (select max(tick_id) from pgq.tick where tick_queue = queue_id)) \
         and not exists (select from pgq.retry_queue)";
    client.query_one(query, &[]).expect("readable").get(0)
}

/// Writes each event to the table of effects, in the batch's transaction.
pub(crate) struct Applied;

impl Consumer for Applied {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        let (id, data) = (event.id(), event.data().unwrap_or_default());
        // A pooler gives each transaction another session, so nothing is prepared.
        let insert = format!("insert into effect values ({id}, '{data}')");
        batch.db().await?.batch_execute(&insert).await?;
        Ok(Outcome::Done)
    }
}

/// A worker on a runtime of its own.
pub(crate) struct Running {
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    /// Whether the worker has seen that it is to end.
    is_stopping: Arc<AtomicBool>,
    task: JoinHandle<Result<(), pgq::Error>>,
}

impl Running {
    pub(crate) fn start(worker: pgq::aio::Worker, delivery: impl pgq::aio::Delivery + 'static) -> Running {
        Running::within(|| delivery, worker)
    }

    /// Makes the delivery on the runtime.
    pub(crate) fn within<D: pgq::aio::Delivery + 'static>(
        delivery: impl FnOnce() -> D,
        worker: pgq::aio::Worker,
    ) -> Running {
        let runtime = runtime();
        let delivery = {
            let _runtime = runtime.enter();
            delivery()
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let seen = is_stopping.clone();
        let stopped = async move {
            drop(stopped.await);
            seen.store(true, Ordering::SeqCst);
        };
        let task = runtime.spawn(worker.run_until(delivery, stopped));
        Running { runtime, stop: Some(stop), is_stopping, task }
    }

    /// Waits for the end of a worker that is not asked to end, and returns how it did.
    pub(crate) fn end_by_itself(self) -> Result<(), pgq::Error> {
        self.runtime.block_on(self.task).expect("no panic")
    }

    /// Asks the worker to end, and returns how it did.
    pub(crate) fn end(mut self) -> Result<(), pgq::Error> {
        drop(self.stop.take());
        self.runtime.block_on(self.task).expect("no panic")
    }
}
