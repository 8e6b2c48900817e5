//! graphile_worker, the one for Rust.
//!
//! - The options are those of the "throughput-oriented worker" in its documentation (`configuration/worker-options.md`):
//!   completed and failed jobs are written together after 5 ms. Notifications wake the worker, which is the default.
//! - That worker also has a local queue of 100 jobs, here `--local-queue 100`. By default there is none: with version 0.14.1,
//!   a third of the runs at 1,000 jobs/s stalled with jobs left, which did not happen without it.
//! - Recovery is enabled, since a killed worker's jobs would stay locked otherwise. Its times are a second, and five
//!   seconds until a worker counts as dead; by default they are 30 seconds to five minutes (`guides/recovery.md`).
//! - A job has four attempts. The delay between them grows exponentially, which cannot be changed.
//! - Each consumer has a schema of its own. Single jobs are added by `add_job`, several by `add_jobs`.
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
    IntoTaskHandlerResult, JobSpec, JobSpecBuilder, LocalQueueConfig, TaskHandler, WorkerContext,
    WorkerOptions, WorkerRecoveryConfig, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;

const BATCH_DELAY: Duration = Duration::from_millis(5);
const SECOND: Duration = Duration::from_secs(1);
const DEAD: Duration = Duration::from_secs(5);
const ATTEMPTS: i16 = 4;

fn main() -> ExitCode {
    field_adapters::main::<Graphile>()
}

struct Graphile {
    url: String,
    /// The jobs that a worker fetches at once.
    local_queue: Option<usize>,
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
        Ok(Graphile { url: settings.url.clone(), local_queue: settings.find("local-queue")? })
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
        let schemas = runtime.block_on(schemas(&pool))?;
        let spec = JobSpecBuilder::new().max_attempts(ATTEMPTS).build();
        production.run(|numbers| {
            let tasks: Vec<Task> = production.payloads(numbers).map(Task).collect();
            runtime.block_on(add(&pool, &schemas, &tasks, &spec))
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
            let mut options = WorkerOptions::default();
            if let Some(jobs) = self.local_queue {
                options = options.local_queue(LocalQueueConfig::default().with_size(jobs));
            }
            let worker = options
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

fn schema(consumer: u32) -> String {
    format!("consumer_{consumer}")
}

async fn schemas(pool: &PgPool) -> Result<Vec<String>, BoxError> {
    let statement = "select nspname::text from pg_namespace where nspname ~ '^consumer_' order by 1";
    Ok(sqlx::query_scalar(statement).fetch_all(pool).await?)
}

/// Adds jobs to all schemas, in one transaction.
async fn add(pool: &PgPool, schemas: &[String], tasks: &[Task], spec: &JobSpec) -> Result<(), BoxError> {
    if let ([schema], [task]) = (schemas, tasks) {
        let utils = WorkerUtils::new(pool.clone(), schema.clone());
        utils.add_job(task.clone(), spec.clone()).await?;
        return Ok(());
    }
    let jobs: Vec<(Task, &JobSpec)> = tasks.iter().map(|task| (task.clone(), spec)).collect();
    let mut transaction = pool.begin().await?;
    for schema in schemas {
        let utils = WorkerUtils::new(pool.clone(), schema.clone());
        utils.with_executor(&mut transaction).add_jobs(&jobs).await?;
    }
    Ok(transaction.commit().await?)
}
