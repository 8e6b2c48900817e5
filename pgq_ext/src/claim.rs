//! The claim of one event, for all drivers.

use chrono::{DateTime, Utc};
use pgq::Event;
use pgq::aio::Origin;

use crate::error::Error;

/// The failed step, for errors.
pub(crate) const FAILED: &str = "cannot claim the event";

/// The values that the statements of claims have in common.
pub(crate) struct Claim<'a> {
    pub(crate) queue: &'a str,
    pub(crate) consumer: &'a str,
    pub(crate) batch: i64,
    pub(crate) prev_tick_time: DateTime<Utc>,
    pub(crate) tick: i64,
    pub(crate) tick_time: DateTime<Utc>,
    pub(crate) opened_at: DateTime<Utc>,
}

impl<'a> Claim<'a> {
    /// Makes the values. Fails for a subconsumer: another one that takes its batch over has another name.
    pub(crate) fn new(origin: &'a Origin) -> Result<Claim<'a>, Error> {
        if origin.subconsumer().is_some() {
            let why = "events of subconsumers cannot be claimed; use a consumer without subconsumers, or \
                       `pgq_ext::RemoteConsumer`";
            return Err(Error::misused(FAILED, why));
        }
        let batch = origin.batch();
        Ok(Claim {
            queue: origin.queue(),
            consumer: origin.consumer(),
            batch: batch.id,
            prev_tick_time: batch.prev_tick_time,
            tick: batch.tick,
            tick_time: batch.tick_time,
            opened_at: origin.opened_at(),
        })
    }
}

/// Returns the number that distinguishes events of one id.
pub(crate) fn mark(event: &Event) -> i64 {
    i64::from_be_bytes(event.mark())
}
