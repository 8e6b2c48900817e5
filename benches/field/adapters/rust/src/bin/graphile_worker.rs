//! graphile_worker, the one for Rust.
//!
//! - The options are those of the "throughput-oriented worker" in its documentation (`configuration/worker-options.md`):
//!   a poll interval of 500 ms, completed and failed jobs are written together after 5 ms, and a local queue of 100 jobs.
//!   There are two such queues (`operations/deployment.md`). Notifications wake the worker, which is the default.
//! - Without a local queue, the default, each of a worker's slots takes one job for a notification or a poll interval. With
//!   the default interval of a second, 16 slots drain 16 jobs/s.
//! - The local queue has a `refetch_delay` (`guides/local-queue.md`) of 2.5 to 5 ms after each batch that is not full. Without
//!   it, each notification makes slots fetch: at 1,000 jobs/s the empty fetches cost 2 to 3 ms of the server's processor time
//!   for each job, and on two processors the producer reached a third of the rate.
//! - The time to live of a local queue is half a second instead of five minutes. With version 0.14.1, a local queue can stall: a
//!   slot takes the last job of a small batch before `received_jobs` enters the mode `Waiting`, in which the empty queue
//!   remains, ignoring notifications, until the time to live is over. Without a `refetch_delay`, a queue stalled so within
//!   four seconds at 1,000 jobs/s; with a time to live of a second, 5% of the jobs waited for 600 ms or more. A second queue
//!   takes the jobs in the meantime.
//! - Recovery is enabled, since a killed worker's jobs would stay locked otherwise. Its times are a second, and five
//!   seconds until a worker counts as dead; by default they are 30 seconds to five minutes (`guides/recovery.md`).
//! - A job has four attempts. The delay between them grows exponentially, which cannot be changed.
//! - Each consumer has a schema of its own. Single jobs are added by `add_job`, several by `add_jobs`, of the utilities that a
//!   worker creates (`create_utils`), on a connection that the producer keeps (`with_executor`). A pool would check the
//!   connection before and after each call, two more round trips.
//! - A handler has no part in the transaction that completes its job.

use std::fmt;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use field_adapters::{
    Adapter, BoxError, Consumption, Descriptor, Handling, Payload, Production, Settings, ready,
};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, JobSpecBuilder, LocalQueueConfig, RefetchDelayConfig, TaskHandler,
    WorkerContext, WorkerOptions, WorkerRecoveryConfig, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::runtime::Runtime;

const BATCH_DELAY: Duration = Duration::from_millis(5);
const POLL: Duration = Duration::from_millis(500);
const QUEUES: usize = 2;
const QUEUE_SIZE: usize = 100;
const REFETCH: Duration = Duration::from_millis(5);
const TIME_TO_LIVE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
const DEAD: Duration = Duration::from_secs(5);
const ATTEMPTS: i16 = 4;

fn main() -> ExitCode {
    field_adapters::main::<Graphile>()
}

struct Graphile {
    url: String,
}

/// The task of an event.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct Task(Payload);

/// The common state of tasks.
#[derive(Clone)]
struct State {
    handling: Arc<Handling>,
    /// Where handlers write, if they do.
    pool: Option<PgPool>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl TaskHandler for Task {
    const IDENTIFIER: &'static str = "field";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let state = context.get_ext::<State>().ok_or("there is no state")?;
        state.handling.handle_async(self.0.n).await.map_err(|error| error.to_string())?;
        if let Some(pool) = &state.pool {
            let number = i64::try_from(self.0.n).map_err(|error| error.to_string())?;
            let insert = sqlx::query("insert into handled (n, by) values ($1, $2)");
            let insert = insert.bind(number).bind(std::process::id().to_string());
            insert.execute(pool).await.map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    }
}

impl Adapter for Graphile {
    fn new(settings: &Settings) -> Result<Graphile, BoxError> {
        Ok(Graphile { url: settings.url.clone() })
    }

    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError> {
        Runtime::new()?.block_on(async {
            let pool = self.connect(2).await?;
            for consumer in 0..consumers {
                WorkerUtils::new(pool.clone(), schema(consumer)).migrate().await?;
            }
            let statement = "select max(id) from consumer_0.migrations";
            let migration: i32 = sqlx::query_scalar(statement).fetch_one(&pool).await?;
            Ok(Descriptor {
                system: "graphile_worker".to_owned(),
                version: "0.14.1".to_owned(),
                schema_version: format!("migration {migration}"),
            })
        })
    }

    fn produce(&self, production: &Production) -> Result<(), BoxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pool = runtime.block_on(self.connect(1))?;
        let utils = runtime.block_on(utils(&pool))?;
        let spec = JobSpecBuilder::new().max_attempts(ATTEMPTS).build();
        runtime.block_on(pool.close());
        let mut connection = runtime.block_on(PgConnection::connect(&self.url))?;
        production.run(|numbers| {
            let tasks: Vec<Task> = production.payloads(numbers).map(Task).collect();
            runtime.block_on(add(&mut connection, &utils, &tasks, &spec))
        })
    }

    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError> {
        let connections = u32::try_from(consumption.workers)? + 4;
        Runtime::new()?.block_on(async {
            let pool = self.connect(connections).await?;
            let state = State {
                handling: Arc::clone(&consumption.handling),
                pool: consumption.into_table.then(|| pool.clone()),
            };
            let recovery = WorkerRecoveryConfig::default()
                .enabled(true)
                .heartbeat_interval(SECOND)
                .sweep_interval(SECOND)
                .sweep_threshold(DEAD)
                .recovery_delay(SECOND);
            let worker = WorkerOptions::default()
                .local_queue(local_queue())
                .poll_interval(POLL)
                .schema(schema(consumption.consumer))
                .concurrency(consumption.workers)
                .complete_job_batch_delay(BATCH_DELAY)
                .fail_job_batch_delay(BATCH_DELAY)
                .worker_recovery(recovery)
                .listen_os_shutdown_signals(false)
                .add_extension(state)
                .define_job::<Task>()
                .pg_pool(pool)
                .init()
                .await?;
            ready()?;
            let mut run = pin!(worker.run());
            tokio::select! {
                ran = &mut run => return Ok(ran?),
                () = consumption.handling.end() => worker.request_shutdown(),
            }
            Ok(run.await?)
        })
    }
}

impl Graphile {
    async fn connect(&self, connections: u32) -> Result<PgPool, BoxError> {
        Ok(PgPoolOptions::new().max_connections(connections).connect(&self.url).await?)
    }
}

fn local_queue() -> LocalQueueConfig {
    // Each batch that is not full is followed by the delay, which no notification ends.
    let delay = RefetchDelayConfig::default()
        .with_duration(REFETCH)
        .with_threshold(QUEUE_SIZE - 1)
        .with_max_abort_threshold(usize::MAX);
    LocalQueueConfig::default()
        .with_size(QUEUE_SIZE)
        .with_queue_count(QUEUES)
        .with_ttl(TIME_TO_LIVE)
        .with_refetch_delay(delay)
}

fn schema(consumer: u32) -> String {
    format!("consumer_{consumer}")
}

/// Returns the utilities of each consumer's schema. Those of a worker contain its tasks; others log a warning for each job.
async fn utils(pool: &PgPool) -> Result<Vec<WorkerUtils>, BoxError> {
    let statement = "select nspname::text from pg_namespace where nspname ~ '^consumer_' order by 1";
    let schemas: Vec<String> = sqlx::query_scalar(statement).fetch_all(pool).await?;
    let mut all = Vec::new();
    for schema in schemas {
        let options = WorkerOptions::default().schema(schema).listen_os_shutdown_signals(false);
        all.push(options.define_job::<Task>().pg_pool(pool.clone()).init().await?.create_utils());
    }
    Ok(all)
}

/// Adds jobs to all schemas, in one transaction.
async fn add(
    connection: &mut PgConnection,
    utils: &[WorkerUtils],
    tasks: &[Task],
    spec: &JobSpec,
) -> Result<(), BoxError> {
    if let ([utils], [task]) = (utils, tasks) {
        utils.clone().with_executor(connection).add_job(task.clone(), spec.clone()).await?;
        return Ok(());
    }
    let jobs: Vec<(Task, &JobSpec)> = tasks.iter().map(|task| (task.clone(), spec)).collect();
    let mut transaction = connection.begin().await?;
    for utils in utils {
        utils.clone().with_executor(&mut transaction).add_jobs(&jobs).await?;
    }
    Ok(transaction.commit().await?)
}
