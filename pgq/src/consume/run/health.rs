//! The health of a running worker.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};

/// The health of a running worker, as [`WorkerHandle::health`](crate::WorkerHandle::health) returns it.
///
/// [`Display`](fmt::Display) describes it in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The worker has not looked for a batch yet: it connects, or registers the consumer.
    #[default]
    Starting,
    /// The worker waits for a batch.
    Idle,
    /// The worker processes batches.
    Working,
    /// Another process is consuming under the same name, and the worker takes over when that one ends.
    Standby,
    /// The last round failed, with this error and its causes. The worker tries again.
    Failing(String),
    /// The worker waits for a batch, and the queue has no tick since this time although one is overdue: probably no
    /// ticker runs.
    NoTicks(DateTime<Utc>),
    /// The worker has ended.
    Stopped,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Health::Starting => f.write_str("starting"),
            Health::Idle => f.write_str("idle"),
            Health::Working => f.write_str("working"),
            Health::Standby => f.write_str("standby"),
            Health::Failing(error) => write!(f, "failing: {error}"),
            Health::NoTicks(since) => {
                write!(f, "no ticks since {}", since.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            Health::Stopped => f.write_str("stopped"),
        }
    }
}

/// Reads the health of a worker while it runs elsewhere. Clones are of the same worker.
#[derive(Clone, Debug, Default)]
pub struct HealthProbe(Arc<Mutex<Health>>);

impl HealthProbe {
    /// Returns the worker's health.
    pub fn get(&self) -> Health {
        self.lock().clone()
    }

    pub(crate) fn set(&self, health: Health) {
        *self.lock() = health;
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_described_in_a_few_words() {
        let since = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(Health::NoTicks(since).to_string(), "no ticks since 1970-01-01T00:00:00Z");
        assert_eq!(Health::Failing("no disk".to_owned()).to_string(), "failing: no disk");
        assert_eq!(Health::default().to_string(), "starting");
    }
}
