//! The samples of all metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use field_adapters::{BoxError, now};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::latencies::WINDOW;
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{database, lines, until_stopped};

/// The time that the server has to return the number of pending events.
const QUERY_LIMIT: Duration = Duration::from_millis(500);

/// Prints all metrics at each multiple of the interval since 1970, until the process is to end. The first interval begins
/// at the first multiple.
///
/// # Errors
///
/// When the other end of the pipe is closed.
pub(crate) async fn run(
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    stopped: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let system = Manifest::read()?.system;
    let sampler = Sampler { system, settings, progress, client: None };
    tokio::select! {
        result = sampler.sample() => result,
        () = until_stopped(stopped) => Ok(()),
    }
}

struct Sampler {
    system: String,
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    client: Option<Client>,
}

/// The counts at a second since 1970.
#[derive(Clone, Copy)]
struct Mark {
    second: u64,
    at: Instant,
    inserted: u64,
    completed: u64,
}

impl Sampler {
    async fn sample(mut self) -> Result<(), BoxError> {
        let mut last = self.next_mark().await;
        loop {
            let mark = self.next_mark().await;
            self.correct_depth().await;
            self.print(last, mark)?;
            last = mark;
        }
    }

    /// Waits for the next multiple of the interval.
    async fn next_mark(&self) -> Mark {
        let second = sleep_until_multiple(self.settings.sample_every).await;
        let (inserted, completed) = (self.progress.inserted(), self.progress.completed());
        Mark { second, at: Instant::now(), inserted, completed }
    }

    /// Sets the number of pending events to that of the database. During an outage, the number is
    /// computed from the counts of this process.
    async fn correct_depth(&mut self) {
        match timeout(QUERY_LIMIT, self.read_depth()).await {
            Ok(Ok(depth)) => self.progress.set_depth(depth),
            Ok(Err(error)) => log::warn!("cannot read the queue's depth: {}", crate::describe(&*error)),
            Err(_) => log::warn!("cannot read the queue's depth within {QUERY_LIMIT:?}"),
        }
    }

    async fn read_depth(&mut self) -> Result<i64, BoxError> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => database::connect(&self.settings.url).await?,
        };
        let depth = database::depth(&client).await?;
        self.client = Some(client);
        Ok(depth)
    }

    fn print(&self, last: Mark, mark: Mark) -> Result<(), BoxError> {
        let seconds = (mark.at - last.at).as_secs_f64();
        let [p50, p95, p99] = self.progress.quantiles(mark.second, [0.5, 0.95, 0.99])?;
        let metrics = [
            ("claim_p50_ms", p50, WINDOW),
            ("claim_p95_ms", p95, WINDOW),
            ("claim_p99_ms", p99, WINDOW),
            ("enqueue_rate", (mark.inserted - last.inserted) as f64 / seconds, self.settings.sample_every),
            (
                "completion_rate",
                (mark.completed - last.completed) as f64 / seconds,
                self.settings.sample_every,
            ),
            ("queue_depth", self.progress.depth() as f64, 0),
        ];
        for (metric, value, window) in metrics {
            lines::print(&json!({
                "t": database::time(mark.second * 1_000),
                "system": self.system,
                "kind": "adapter",
                "subject_kind": "adapter",
                "subject": "",
                "metric": metric,
                "value": value,
                "window_s": window,
            }))?;
        }
        Ok(())
    }
}

/// Sleeps until the next multiple of an interval since 1970, and returns its second. A timer can be early.
async fn sleep_until_multiple(interval: u64) -> u64 {
    let milliseconds = || u64::try_from(now() / 1_000).unwrap_or(0);
    let second = (milliseconds() / 1_000 / interval + 1) * interval;
    loop {
        let left = (second * 1_000).saturating_sub(milliseconds());
        if left == 0 {
            return second;
        }
        sleep(Duration::from_millis(left)).await;
    }
}
