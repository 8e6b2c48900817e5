//! The consumer, whose handlers run many events at once.

use std::sync::Arc;
use std::time::Duration;

use field_adapters::BoxError;
use futures_timer::Delay;
use pgq::aio::{Handlers, Json, Worker};
use serde::Deserialize;
use tokio::sync::watch;

use crate::pgq_common::{EVENT_TYPE, QUEUE, consumer_name, retry_policy};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::until_stopped;

/// The time that handlers have to end after a signal.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(800);

/// The part of an event's data that is read.
#[derive(Deserialize)]
struct Data {
    /// The time of the insertion, in microseconds since 1970.
    at: u64,
}

/// Handles events until the process is to end.
///
/// # Errors
///
/// Those of [`Worker::run_until`].
pub(crate) async fn run(
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    stopped: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let worker = Worker::new(&settings.url, QUEUE, &consumer_name(0))
        .retry(retry_policy())
        .shutdown_limit(SHUTDOWN_LIMIT)
        .hooks(Arc::clone(&progress) as _);
    let handlers = handlers(settings.work, progress).concurrency(settings.workers);
    Ok(worker.run_until(handlers, until_stopped(stopped)).await?)
}

fn handlers(work: Duration, progress: Arc<Progress>) -> Handlers {
    Handlers::new().on(EVENT_TYPE, move |Json(data): Json<Data>| {
        let progress = Arc::clone(&progress);
        async move {
            progress.add_started(data.at);
            if !work.is_zero() {
                // The timer of `tokio` would round up to the next millisecond.
                Delay::new(work).await;
            }
            progress.add_completed();
            Ok::<(), BoxError>(())
        }
    })
}
