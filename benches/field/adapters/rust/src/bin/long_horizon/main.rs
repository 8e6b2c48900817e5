//! This project in `postgresql-job-queue-benchmarking`, a public harness of queues in PostgreSQL.
//!
//! One process installs the schema, runs the ticker, a producer and an asynchronous consumer, and prints a line for each
//! metric. `benches/field/README.md` lists the environment variables.

mod consumer;
mod database;
mod latencies;
mod lines;
mod manifest;
#[path = "../../pgq_common.rs"]
mod pgq_common;
mod producer;
mod progress;
mod sampler;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use field_adapters::BoxError;
use pgq::{Ticker, TickerHandle};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use progress::Progress;
use settings::Settings;

/// The time that tasks have to end after a signal, and the ticker after them.
const GRACE: Duration = Duration::from_secs(1);
/// The wait of the ticker after an error, as that of the producer.
const TICKER_RETRY_DELAY: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    env_logger::Builder::new().filter_level(log::LevelFilter::Warn).parse_default_env().init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{}", describe(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let settings = Arc::new(Settings::read(|name| std::env::var(name).ok())?);
    let runtime = Runtime::new()?;
    let result = runtime.block_on(run_until_signal(settings));
    // A thread that waits for a server which does not respond ends with the process.
    runtime.shutdown_background();
    result
}

async fn run_until_signal(settings: Arc<Settings>) -> Result<(), BoxError> {
    let mut signals = Signals::new()?;
    let progress = Arc::new(Progress::new()?);
    let ticker = tokio::select! {
        ticker = start(&settings, &progress) => ticker?,
        () = signals.next() => return Ok(()),
    };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = spawn_tasks(&settings, &progress, &stopped);
    let result = tokio::select! {
        Some(ended) = tasks.join_next() => ended?,
        () = signals.next() => Ok(()),
    };
    stop.send_replace(true);
    // A batch that is open after this time is delivered again at the next start.
    let _ = timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    let _ = timeout(GRACE, spawn_blocking(move || ticker.abort())).await;
    result
}

/// Installs the schema, creates the queue and its consumer, starts the ticker, and prints the descriptor.
async fn start(settings: &Arc<Settings>, progress: &Arc<Progress>) -> Result<TickerHandle, BoxError> {
    let (settings, progress) = (Arc::clone(settings), Arc::clone(progress));
    spawn_blocking(move || {
        let (descriptor, depth) = database::install(&settings)?;
        progress.set_depth(depth);
        let tick = Duration::from_millis(pgq_common::TICK);
        let ticker =
            Ticker::new(&settings.url).loop_delay(tick).exception_sleep(TICKER_RETRY_DELAY).spawn()?;
        lines::print(&descriptor)?;
        Ok(ticker)
    })
    .await?
}

fn spawn_tasks(
    settings: &Arc<Settings>,
    progress: &Arc<Progress>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<Result<(), BoxError>> {
    let mut tasks = JoinSet::new();
    tasks.spawn(consumer::run(Arc::clone(settings), Arc::clone(progress), stopped.clone()));
    tasks.spawn(producer::run(Arc::clone(settings), Arc::clone(progress), stopped.clone()));
    tasks.spawn(sampler::run(Arc::clone(settings), Arc::clone(progress), stopped.clone()));
    tasks
}

/// Waits until the process is to end.
pub(crate) async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // The sender is dropped only when the process ends.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns the text of an error with its causes.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<String>>().join(": ")
}
