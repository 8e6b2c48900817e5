//! Which queue is consumed under which name, and how its batches are cut.

use std::time::Duration;

/// Default of [`Settings::merge_events`].
pub const DEFAULT_MERGE_EVENTS: u32 = 50_000;

/// A consumer's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The queue's name.
    pub queue: String,
    /// The consumer's name, under which its position is kept; unique on the queue.
    pub consumer: String,
    /// Rows to fetch at a time; 0 fetches a batch as a whole. Defaults to `None`: pages of about a
    /// megabyte.
    pub lazy_fetch: Option<u32>,
    /// Waits until a batch has at least this many events. Defaults to `None`.
    pub collect_events: Option<u32>,
    /// Waits until a batch covers at least this much time; with `collect_events`, whichever comes first.
    /// Defaults to `None`.
    pub collect_interval: Option<Duration>,
    /// Leaves events alone that are younger than this. Defaults to `None`.
    pub keep_lag: Option<Duration>,
    /// When the consumer is behind, takes several ticks as one batch, until it has this many events; 0 takes
    /// tick by tick, as does a consumer whose last batch had retries. Has no effect beside the three settings above. Defaults to 50,000
    /// ([`DEFAULT_MERGE_EVENTS`]).
    pub merge_events: u32,
    /// Lets the notification of a tick end the sleep between batches, on a connection of its own. Has no effect
    /// behind a pooler. Defaults to `true`.
    pub listen: bool,
}

impl Settings {
    /// Makes settings with all defaults.
    pub fn new(queue: &str, consumer: &str) -> Settings {
        Settings {
            queue: queue.to_owned(),
            consumer: consumer.to_owned(),
            lazy_fetch: None,
            collect_events: None,
            collect_interval: None,
            keep_lag: None,
            merge_events: DEFAULT_MERGE_EVENTS,
            listen: true,
        }
    }

    pub(crate) fn merges(&self) -> bool {
        self.merge_events > 0
            && self.collect_events.is_none()
            && self.collect_interval.is_none()
            && self.keep_lag.is_none()
    }
}
