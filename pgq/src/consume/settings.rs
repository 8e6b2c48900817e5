//! Which queue is consumed under which name, and how its batches are cut.

use std::time::Duration;

use crate::consume::retry_policy::RetryPolicy;
use crate::error::Error;

/// Default of [`Settings::merge_events`].
pub const DEFAULT_MERGE_EVENTS: u32 = 50_000;
/// Default of [`Settings::keepalive_stats`].
pub const DEFAULT_KEEPALIVE_STATS: Duration = Duration::from_secs(300);

/// A consumer's settings.
#[derive(Clone, Debug, PartialEq)]
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
    /// tick by tick. Has no effect beside the three settings above. Defaults to 50,000
    /// ([`DEFAULT_MERGE_EVENTS`]).
    pub merge_events: u32,
    /// Reads only events whose `ev_extra1` is one of these: for events of triggers, their tables. Defaults to all.
    pub table_filter: Vec<String>,
    /// Keeps no transaction open while events are handled, however long that takes. What was handled before a
    /// crash is then handled again. Takes a second connection, whose transaction holds the consumer's lock and
    /// nothing else. Defaults to `false`.
    pub autocommit: bool,
    /// The retry policy for an event whose handler fails. Defaults to `None`: the batch is rolled back and delivered
    /// again.
    pub retry_policy: Option<RetryPolicy>,
    /// The name of this process among several that share the consumer's position and take turns at its batches. PgQ:
    /// schema `pgq_coop`. Defaults to `None`: the consumer works alone.
    pub subconsumer: Option<String>,
    /// The time without a sign of life after which another subconsumer counts as dead, and its batch is taken over. Signs
    /// of life are the calls for a batch and the heartbeats, which a subconsumer with this setting sends during a batch:
    /// one in each third of the time, on a connection that is open during long batches only. Use the same time for all
    /// subconsumers.
    ///
    /// Longer than a batch may take where no heartbeats are sent: by other clients, with an older release of schema
    /// `pgq_coop` (run `install` again) or with the extension `pgq_coop`. A handler that hangs does not stop the
    /// heartbeats. Zero sends none. Defaults to `None`: never.
    pub subconsumer_timeout: Option<Duration>,
    /// What to do while another process consumes under the same name. Defaults to waiting.
    pub twin: Twin,
    /// How often a consumer without events shows in the statistics that it is there. Defaults to 300 seconds
    /// ([`DEFAULT_KEEPALIVE_STATS`]).
    pub keepalive_stats: Duration,
    /// Lets the notification of a tick end the sleep between batches, on a connection of its own. Has no effect
    /// behind a pooler. Defaults to `true`.
    pub listen: bool,
}

/// The behaviour of a consumer while another process consumes under its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Twin {
    /// It stands by, and goes on when the other one is gone. Without [`Settings::autocommit`] the lock is held batch by
    /// batch, so two processes may take turns at batches.
    #[default]
    Wait,
    /// It ends. It holds the consumer's lock for as long as it runs, on a connection of its own.
    Stop,
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
            table_filter: Vec::new(),
            autocommit: false,
            retry_policy: None,
            subconsumer: None,
            subconsumer_timeout: None,
            twin: Twin::default(),
            keepalive_stats: DEFAULT_KEEPALIVE_STATS,
            listen: true,
        }
    }

    /// Fails when a subconsumer is set.
    ///
    /// # Errors
    ///
    /// As described, for deliveries whose batches have an order; the error is one of usage.
    pub fn require_no_subconsumer(&self) -> Result<(), dbscript::Error> {
        let what = "this kind of consumer has no subconsumers: its batches have an order";
        match self.subconsumer {
            Some(_) => Err(Error::usage(what).into()),
            None => Ok(()),
        }
    }

    pub(crate) fn merges(&self) -> bool {
        self.merge_events > 0
            && self.collect_events.is_none()
            && self.collect_interval.is_none()
            && self.keep_lag.is_none()
    }
}
