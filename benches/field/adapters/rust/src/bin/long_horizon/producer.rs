//! The producer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use field_adapters::{BoxError, now};
use pgq::NewEvent;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};
use tokio_postgres::Client;

use crate::pgq_common::{EVENT_TYPE, QUEUE};
use crate::progress::Progress;
use crate::settings::{Demand, Settings};
use crate::{database, until_stopped};

/// The wait after an error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Inserts events until the process is to end.
///
/// At a fixed rate, the time since the start determines how many events are due. Events that became due during an outage
/// are inserted after it, as fast as one connection can. A transaction whose result was lost counts as failed.
///
/// # Errors
///
/// None: errors of the server are logged and retried.
pub(crate) async fn run(
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    stopped: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let producer = Producer { settings, progress, started: Instant::now() };
    tokio::select! {
        () = producer.produce() => {}
        () = until_stopped(stopped) => {}
    }
    Ok(())
}

struct Producer {
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    started: Instant,
}

impl Producer {
    async fn produce(&self) {
        loop {
            let Err(error) = self.produce_on_one_connection().await;
            log::error!("producer: {}; retrying in {}s", crate::describe(&*error), RETRY_DELAY.as_secs());
            sleep(RETRY_DELAY).await;
        }
    }

    /// Inserts events until the server fails.
    async fn produce_on_one_connection(&self) -> Result<Infallible, BoxError> {
        let mut client = database::connect(&self.settings.url).await?;
        loop {
            let gathered = tokio::time::Instant::now() + self.settings.batch_wait;
            let events = self.due().min(self.settings.batch_max);
            insert(&mut client, &self.data(events)).await?;
            self.progress.add_inserted(events);
            if events < self.settings.batch_max {
                sleep_until(gathered).await;
            }
        }
    }

    fn due(&self) -> u64 {
        match self.settings.demand {
            Demand::Rate(rate) => due(rate, self.started.elapsed(), self.progress.inserted()),
            Demand::Depth(depth) => depth.saturating_sub(self.progress.depth()),
        }
    }

    fn data(&self, events: u64) -> Vec<String> {
        (0..events).map(|_| data(now(), self.settings.payload_bytes)).collect()
    }
}

/// Returns how many events are due at a rate.
fn due(rate: u64, elapsed: Duration, inserted: u64) -> u64 {
    let total = u128::from(rate) * elapsed.as_micros() / 1_000_000;
    u64::try_from(total).unwrap_or(u64::MAX).saturating_sub(inserted)
}

/// Returns JSON text of so many bytes, with the time of the insertion.
fn data(at: u128, bytes: usize) -> String {
    let width = bytes.saturating_sub(format!("{{\"at\":{at},\"pad\":\"\"}}").len());
    format!("{{\"at\":{at},\"pad\":\"{}\"}}", "x".repeat(width))
}

async fn insert(client: &mut Client, data: &[String]) -> Result<(), BoxError> {
    match data {
        [] => {}
        [data] => _ = pgq::tokio::insert_event(client, QUEUE, EVENT_TYPE, data).await?,
        data => {
            let events: Vec<NewEvent<'_>> = data.iter().map(|data| NewEvent::new(EVENT_TYPE, data)).collect();
            pgq::tokio::bulk_insert(client, QUEUE, events).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_determines_how_many_events_are_due() {
        assert_eq!(due(800, Duration::from_millis(10), 0), 8);
        assert_eq!(due(800, Duration::from_millis(10), 8), 0);
        assert_eq!(due(1, Duration::from_millis(999), 0), 0);
        // After an outage of a minute.
        assert_eq!(due(800, Duration::from_secs(61), 800), 48_000);
        assert_eq!(due(800, Duration::ZERO, 5), 0);
    }

    #[test]
    fn data_has_its_length() {
        let text = data(1_790_000_000_123_456, 256);
        let value: serde_json::Value = serde_json::from_str(&text).expect("the text is JSON");
        assert_eq!((text.len(), value["at"].as_u64()), (256, Some(1_790_000_000_123_456)));
        assert_eq!(data(17, 0), r#"{"at":17,"pad":""}"#);
    }
}
