//! Events of a consumer's life for a metrics or tracing library.

use std::error::Error as StdError;
use std::time::Duration;

use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::Event;

/// Receives the progress of a consumer, on the consumer's thread. Every method does nothing unless it is implemented.
///
/// It is given to [`Worker::hooks`](crate::Worker::hooks) or [`ConsumerLoop::hooks`](crate::ConsumerLoop::hooks), in an
/// [`Arc`](std::sync::Arc), so that several consumers may share it.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
/// use pgq::{BatchInfo, Delivered, Hooks};
///
/// #[derive(Default)]
/// struct Counted(AtomicU64);
///
/// impl Hooks for Counted {
///     fn batch_finished(&self, _batch: &BatchInfo, delivered: &Delivered, _took: Duration) {
///         self.0.fetch_add(delivered.events, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait Hooks: Send + Sync {
    /// Is called when a batch was opened, before its first event is read.
    fn batch_started(&self, _batch: &BatchInfo) {}

    /// Is called when the outcome of an event is decided: after
    /// [`process_event`](crate::Consumer::process_event), or when a
    /// [`process_batch`](crate::Consumer::process_batch) tags the event. The batch may still be rolled back.
    fn event_settled(&self, _event: &Event, _outcome: &Outcome) {}

    /// Is called when a handler failed or panicked and a [`RetryPolicy`](crate::RetryPolicy) decides the outcome of
    /// its event, which [`event_settled`](Hooks::event_settled) reports next.
    fn event_failed(&self, _event: &Event, _error: &(dyn StdError + 'static)) {}

    /// Is called when a batch is committed; `took` is the time since it was asked for.
    fn batch_finished(&self, _batch: &BatchInfo, _delivered: &Delivered, _took: Duration) {}

    /// Is called when a round failed: the handler, the database, or the way to it. An open batch will be delivered
    /// again.
    fn round_failed(&self, _error: &(dyn StdError + 'static)) {}
}
