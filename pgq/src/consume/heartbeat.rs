//! Signs of life of a subconsumer while it processes a batch, so that no other subconsumer takes the batch over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbscript::param::text;
use dbscript::{BoxError, LogThrottle, Session, describe};
use log::{debug, warn};
use postgres::error::SqlState;

use crate::consume::settings::Settings;

/// Heartbeats in each [`subconsumer_timeout`](Settings::subconsumer_timeout).
const BEATS: u32 = 3;
/// The shortest time between two heartbeats.
const SHORTEST: Duration = Duration::from_millis(100);

/// $1 queue, $2 consumer, $3 subconsumer. Returns 0 if the subconsumer has no batch open. The commit does not wait for
/// the disk.
const TOUCH: &str = "select pgq_coop.touch_subconsumer($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text) \
         ::pg_catalog.int4, \
     pg_catalog.set_config('synchronous_commit', 'off', true)";

/// The heartbeats of a subconsumer. Clones are of the same subconsumer.
#[derive(Clone)]
pub(crate) struct Heartbeat {
    queue: String,
    consumer: String,
    subconsumer: String,
    interval: Duration,
    /// Whether the heartbeats have ended for as long as the consumer runs.
    is_off: Arc<AtomicBool>,
    throttle: Arc<LogThrottle>,
}

impl Heartbeat {
    /// Makes the heartbeats of a subconsumer; `None` for a consumer whose batches are not taken over.
    pub(crate) fn new(settings: &Settings) -> Option<Heartbeat> {
        let timeout = settings.subconsumer_timeout.filter(|timeout| !timeout.is_zero())?;
        Some(Heartbeat {
            queue: settings.queue.clone(),
            consumer: settings.consumer.clone(),
            subconsumer: settings.subconsumer.clone()?,
            interval: (timeout / BEATS).max(SHORTEST),
            is_off: Arc::default(),
            throttle: Arc::default(),
        })
    }

    /// Returns the application's name of a connection whose string has none.
    #[cfg(feature = "tokio")]
    pub(crate) fn application_name(&self) -> &str {
        &self.consumer
    }

    /// Returns the time between two heartbeats, and from the start of a batch to the first one.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns whether heartbeats are to be sent.
    pub(crate) fn is_on(&self) -> bool {
        !self.is_off.load(Ordering::Relaxed)
    }

    /// Ends the heartbeats for as long as the consumer runs. Returns whether they were on.
    pub(crate) fn turn_off(&self) -> bool {
        !self.is_off.swap(true, Ordering::Relaxed)
    }

    /// Sends a heartbeat; returns whether the batch needs further ones.
    ///
    /// # Errors
    ///
    /// When the server fails; the next heartbeat may succeed.
    pub(crate) async fn send(&self, session: &mut impl Session) -> Result<bool, BoxError> {
        let values = [text(&self.queue), text(&self.consumer), text(&self.subconsumer)];
        match session.first_row(TOUCH, &values).await {
            Ok(row) => Ok(row.is_some_and(|row| row.get::<_, i32>(0) > 0)),
            Err(error) if is_missing(&error) => {
                // An older release of the add-on, or the extension `pgq_coop`.
                debug!("no heartbeats: {}", describe(&error));
                self.turn_off();
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Logs the failure of a heartbeat, once a minute.
    pub(crate) fn report(&self, error: &BoxError) {
        let Heartbeat { queue, consumer, subconsumer, .. } = self;
        if self.throttle.admit_key("heartbeat").is_some() {
            let cause = describe(&**error);
            warn!(
                "cannot send a heartbeat (queue `{queue}`, consumer `{consumer}.{subconsumer}`), another subconsumer may \
                 take the batch over: {cause}"
            );
        }
    }
}

fn is_missing(error: &postgres::Error) -> bool {
    [SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME].iter().any(|one| error.code() == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(subconsumer: bool, timeout: Option<Duration>) -> Option<Duration> {
        let mut settings = Settings::new("queue", "consumer");
        settings.subconsumer = subconsumer.then(|| "first".to_owned());
        settings.subconsumer_timeout = timeout;
        Heartbeat::new(&settings).map(|heartbeat| heartbeat.interval())
    }

    #[test]
    fn there_are_three_heartbeats_in_each_timeout() {
        assert_eq!(interval(true, Some(Duration::from_secs(60))), Some(Duration::from_secs(20)));
        assert_eq!(interval(true, Some(Duration::from_millis(1))), Some(SHORTEST));
        for (subconsumer, timeout) in
            [(false, Some(Duration::from_secs(60))), (true, None), (true, Some(Duration::ZERO))]
        {
            assert_eq!(interval(subconsumer, timeout), None);
        }
    }
}
