//! Consumers of asynchronous services.

mod batches;
mod cancelled;
mod concurrent;
#[cfg(feature = "drivers")]
mod once;
mod order;
mod runtimes;
mod shutdown;
mod worker;

use std::future::Future;

use pgq::Settings;
use pgq::schema::Kind;
use postgres::Client;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Database, queues, templates};

const QUEUE: &str = "orders";
const CONSUMER: &str = "billing";
const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// Returns a database of this kind with a queue, a registered consumer, and a table for effects.
fn database(kind: Kind) -> (Database, Client) {
    prepared(templates::installed(kind, "aio"))
}

fn prepared((database, mut client): (Database, Client)) -> (Database, Client) {
    prepare(&mut client);
    (database, client)
}

/// Creates the queue, the consumer and the table for effects.
fn prepare(client: &mut Client) {
    queues::create(client, QUEUE);
    pgq::admin::register_consumer(client, QUEUE, CONSUMER).expect("registered");
    client.batch_execute("create table effect (event bigint, data text)").expect("created");
}

/// Inserts events `event FROM` and so on, and makes a tick.
fn insert(client: &mut Client, from: i64, count: i64) {
    queues::insert(client, QUEUE, from, count);
    queues::tick(client, QUEUE);
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// Runs a task on the threads of a runtime, which takes futures that may be sent.
fn run<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = runtime();
    runtime.block_on(runtime.spawn(task)).expect("no panic")
}

fn settings() -> Settings {
    Settings::new(QUEUE, CONSUMER)
}

/// Returns the data of the effects, in the order of the events.
fn effects(client: &mut Client) -> Vec<String> {
    let rows = client.query("select data from effect order by event, data", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

fn expected(from: i64, count: i64) -> Vec<String> {
    (from..from + count).map(|number| format!("event {number}")).collect()
}

/// Returns whether the consumer has read everything, and no event is to come back.
fn is_done(client: &mut Client) -> bool {
    let query = "select not exists (select from pgq.subscription join pgq.queue on queue_id = sub_queue \
             where sub_batch is not null or sub_last_tick <> (select max(tick_id) from pgq.tick where tick_queue = queue_id)) \
         and not exists (select from pgq.retry_queue)";
    client.query_one(query, &[]).expect("readable").get(0)
}

/// A worker on a runtime of its own.
struct Running {
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), pgq::Error>>,
}

impl Running {
    fn start(worker: pgq::aio::Worker, delivery: impl pgq::aio::Delivery + 'static) -> Running {
        let runtime = runtime();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = runtime.spawn(worker.run_until(delivery, async { drop(stopped.await) }));
        Running { runtime, stop: Some(stop), task }
    }

    /// Asks the worker to end, and returns how it did.
    fn end(mut self) -> Result<(), pgq::Error> {
        drop(self.stop.take());
        self.runtime.block_on(self.task).expect("no panic")
    }
}
