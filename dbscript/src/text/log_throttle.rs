//! Throttling of repeated messages (DESIGN.md, D77).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::text::fingerprint::fingerprint;

/// The period of [`LogThrottle::default`].
const PERIOD: Duration = Duration::from_secs(60);
/// The number of different messages that are remembered.
const REMEMBERED: usize = 10_000;

/// Limits how often the same message is logged. Messages with the same [`fingerprint`] are the same.
///
/// The default period is a minute. The last 10,000 different messages are remembered, each by a hash.
///
/// ```
/// let throttle = dbscript::LogThrottle::default();
/// assert_eq!(throttle.admit("no answer in 5 s"), Some(0));
/// assert_eq!(throttle.admit("no answer in 7 s"), None);
/// ```
#[derive(Debug)]
pub struct LogThrottle {
    period: Duration,
    hasher: RandomState,
    logged: Mutex<HashMap<u64, Logged>>,
}

/// The time at which a message was last logged, and the number of times it was suppressed since then.
#[derive(Debug)]
struct Logged {
    at: Instant,
    suppressed: u64,
}

impl Default for LogThrottle {
    fn default() -> LogThrottle {
        LogThrottle::every(PERIOD)
    }
}

impl LogThrottle {
    /// Admits each message once in `period`.
    pub fn every(period: Duration) -> LogThrottle {
        LogThrottle { period, hasher: RandomState::new(), logged: Mutex::default() }
    }

    /// Returns how often a message was suppressed since it was last logged, or `None` if it is suppressed now.
    pub fn admit(&self, message: &str) -> Option<u64> {
        self.admit_at(message, Instant::now())
    }

    pub(crate) fn admit_at(&self, message: &str, now: Instant) -> Option<u64> {
        self.admit_key_at(&fingerprint(message), now)
    }

    /// Admits messages as [`admit`](LogThrottle::admit) does, but all messages with the same `key` count as the same.
    pub fn admit_key(&self, key: &str) -> Option<u64> {
        self.admit_key_at(key, Instant::now())
    }

    fn admit_key_at(&self, key: &str, now: Instant) -> Option<u64> {
        let key = self.hasher.hash_one(key);
        let mut logged = self.lock();
        if let Some(last) = logged.get_mut(&key) {
            if now.duration_since(last.at) < self.period {
                last.suppressed += 1;
                return None;
            }
            last.at = now;
            return Some(std::mem::take(&mut last.suppressed));
        }
        if logged.len() == REMEMBERED {
            let oldest = logged.iter().min_by_key(|(_, last)| last.at).map(|(key, _)| *key);
            oldest.and_then(|oldest| logged.remove(&oldest));
        }
        logged.insert(key, Logged { at: now, suppressed: 0 });
        Some(0)
    }

    /// Forgets a key, so that its next message is logged at once.
    pub fn forget_key(&self, key: &str) {
        let key = self.hasher.hash_one(key);
        self.lock().remove(&key);
    }

    /// A panic elsewhere leaves the map usable, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Logged>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_message_is_logged_once_a_minute_with_how_often_it_was_suppressed() {
        let (throttle, start) = (LogThrottle::default(), Instant::now());
        assert_eq!(throttle.admit_at("a", start), Some(0));
        for second in 1..60 {
            assert_eq!(throttle.admit_at("a", start + seconds(second)), None);
        }
        assert_eq!(throttle.admit_at("b", start + seconds(59)), Some(0));
        assert_eq!(throttle.admit_at("a", start + seconds(60)), Some(59));
        assert_eq!(throttle.admit_at("a", start + seconds(120)), Some(0));
    }

    #[test]
    fn a_message_with_another_number_is_the_same() {
        let (throttle, start) = (LogThrottle::every(seconds(3600)), Instant::now());
        let line = |row: u64| format!("ERROR 23514: row {row} of process {}", row * 7);
        assert_eq!(throttle.admit_at(&line(1), start), Some(0));
        assert_eq!(throttle.admit_at(&line(20), start + seconds(60)), None);
        assert_eq!(throttle.admit_at(&line(300), start + seconds(3600)), Some(1));
    }

    #[test]
    fn keys_count_to_the_letter_until_they_are_forgotten() {
        let throttle = LogThrottle::default();
        assert_eq!([throttle.admit_key("1"), throttle.admit_key("2")], [Some(0), Some(0)]);
        assert_eq!(throttle.admit_key("1"), None);
        throttle.forget_key("1");
        assert_eq!([throttle.admit_key("1"), throttle.admit_key("2")], [Some(0), None]);
    }

    #[test]
    fn the_oldest_of_too_many_messages_is_forgotten() {
        let (throttle, start) = (LogThrottle::default(), Instant::now());
        let admitted = |name: usize, at| throttle.admit_at(&format!("queue `q{name}`"), at).is_some();
        for number in 0..=REMEMBERED {
            assert!(admitted(number, start + Duration::from_micros(number as u64)), "{number}");
        }
        assert_eq!(throttle.lock().len(), REMEMBERED);
        assert!(admitted(0, start + seconds(1)));
        assert!(!admitted(REMEMBERED, start + seconds(1)));
    }
}
