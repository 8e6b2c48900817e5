//! Handlers of events, many at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use dbscript::BoxError;

use super::batch::Batch;
use super::concurrent::Concurrent;
use super::delivery::{Delivery, private};
use super::extract::{Handler, Handling};
use super::origin::Origin;
use super::shutdown::Shutdown;
use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::consume::router::{Unknown, UnknownEvents, kind, no_handler, qualified};
use crate::consume::settings::Settings;
use crate::event::stored_event::Event;

/// The number of events that are handled at once unless [`Handlers::concurrency`] says otherwise.
const CONCURRENCY: usize = 16;

type Call = Arc<dyn Fn(&Event, &Origin) -> Result<Handling, BoxError> + Send + Sync>;

/// Hands each event to the handler of its type, else to that of its table, many events at once.
///
/// The handlers' effects are committed apart from the batch. After a crash, a batch is delivered again as a whole, so
/// each event is handled at least once; make handlers idempotent by [`Event::id`](crate::Event::id).
///
/// ```no_run
/// use std::time::Duration;
///
/// use pgq::aio::{Handlers, Json, Worker};
/// use pgq::{BoxError, Event, RetryPolicy};
///
/// #[derive(serde::Deserialize)]
/// struct Paid {
///     order: i64,
/// }
///
/// async fn charge(order: i64) -> Result<(), BoxError> {
///     println!("charging order {order}");
///     Ok(())
/// }
///
/// # async fn run() -> Result<(), pgq::Error> {
/// let handlers = Handlers::new()
///     .on("paid", |Json(paid): Json<Paid>| async move { charge(paid.order).await })
///     .concurrency(64)
///     .ordered_by(Event::extra1);
/// let policy = RetryPolicy::exponential(Duration::from_secs(10)).max_retries(5);
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// Worker::new("dbname=shop", "orders", "billing").retry(policy).run_until(handlers, stop).await
/// # }
/// ```
///
/// # Failures
///
/// An error or a panic of a handler counts against its event alone if there is a
/// [`RetryPolicy`](crate::RetryPolicy); without one, the batch is delivered again. A retried event comes back in a later
/// batch, so that order is lost, unless the events are [ordered](Handlers::ordered_by). With
/// [`Redeliver`](crate::consume::Redeliver) a handler fails the batch instead of the event.
///
/// When the connection that holds the consumer's lock is lost, another process may take the batch over: handlers that
/// run are dropped at their next `await`, no other event is started, and the batch is delivered again.
///
/// # Shutdown
///
/// When the worker is to end, handlers that run may end within its [limit](super::Worker::shutdown_limit). Without
/// order, the rest of the batch is put back: it is delivered again at the next start, and what was handled is not. With
/// order, the batch goes on to its end; if it does not reach it in time, the batch is delivered again as a whole.
pub struct Handlers {
    types: HashMap<String, Call>,
    tables: HashMap<String, Call>,
    unknown: Unknown,
    seen: UnknownEvents,
    pub(super) concurrency: usize,
    pub(super) order: Option<Order>,
}

/// Returns the key of an event whose events are handled in order.
pub(super) type Order = Arc<dyn Fn(&Event) -> Option<&str> + Send + Sync>;

impl Default for Handlers {
    fn default() -> Handlers {
        Handlers::new()
    }
}

impl Handlers {
    /// Makes a set without handlers. An event without a handler is an error ([`Unknown::Error`]).
    pub fn new() -> Handlers {
        Handlers {
            types: HashMap::new(),
            tables: HashMap::new(),
            unknown: Unknown::Error,
            seen: UnknownEvents::default(),
            concurrency: CONCURRENCY,
            order: None,
        }
    }

    /// Adds the handler of a type: `ev_type`, the whole of it. A handler is an asynchronous function of one to three
    /// [arguments](super::FromEvent), such as [`Json`](super::Json) and the [`Event`](crate::Event) itself.
    ///
    /// # Panics
    ///
    /// When the type has a handler.
    pub fn on<A>(mut self, event_type: &str, handler: impl Handler<A>) -> Handlers {
        let before = self
            .types
            .insert(event_type.to_owned(), Arc::new(move |event, origin| handler.call(event, origin)));
        assert!(before.is_none(), "type `{event_type}` has two handlers");
        self
    }

    /// Adds the handler of a table: `ev_extra1`, where triggers write it. See
    /// [`Router::on_table`](crate::Router::on_table).
    ///
    /// # Panics
    ///
    /// When the table has a handler.
    pub fn on_table<A>(mut self, table: &str, handler: impl Handler<A>) -> Handlers {
        let before =
            self.tables.insert(qualified(table), Arc::new(move |event, origin| handler.call(event, origin)));
        assert!(before.is_none(), "table `{table}` has two handlers");
        self
    }

    /// Sets what becomes of an event without a handler. Defaults to [`Unknown::Error`].
    pub fn unknown(mut self, unknown: Unknown) -> Handlers {
        self.unknown = unknown;
        self
    }

    /// Returns the counts of events without a handler, which can be read while the handlers run elsewhere.
    pub fn unknown_events(&self) -> UnknownEvents {
        self.seen.clone()
    }

    /// Sets how many events are handled at once, at least one. Defaults to 16.
    pub fn concurrency(mut self, events: usize) -> Handlers {
        self.concurrency = events.max(1);
        self
    }

    /// Handles the events of one key in their order, one after the other; events without a key in any order. A slow
    /// event delays the events of its key only, as long as not more than some thousand of these wait.
    ///
    /// An event that a [`RetryPolicy`](crate::RetryPolicy) retries is called again within the batch after the delay, and
    /// holds back the later events of its key. The batch, and with it the batches after it, waits for it, so keep
    /// delays and retries small where order counts.
    pub fn ordered_by(mut self, key: impl Fn(&Event) -> Option<&str> + Send + Sync + 'static) -> Handlers {
        self.order = Some(Arc::new(key));
        self
    }

    /// Starts to handle an event.
    pub(super) fn call(&self, event: &Event, origin: &Origin) -> Result<Handling, BoxError> {
        let handler = self.types.get(event.event_type());
        match handler.or_else(|| self.tables.get(event.extra1()?)) {
            Some(handler) => handler(event, origin),
            None => {
                let outcome = self.settle_unknown(event);
                Ok(Box::pin(async { outcome }))
            }
        }
    }

    fn settle_unknown(&self, event: &Event) -> Result<Outcome, BoxError> {
        let kind = kind(event);
        self.seen.add(&kind, event.id(), self.unknown);
        no_handler(self.unknown, &kind)
    }
}

impl private::Sealed for Handlers {}

impl Delivery for Handlers {
    fn configure(&self, settings: &mut Settings) {
        settings.autocommit = true;
    }

    async fn deliver(&mut self, batch: Batch, shutdown: &Shutdown) -> Result<Delivered, BoxError> {
        Concurrent::new(self, batch).run(shutdown).await
    }
}

/// Shows what it routes.
impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut handlers = f.debug_struct("Handlers");
        handlers.field("types", &self.types.keys()).field("tables", &self.tables.keys());
        handlers.field("unknown", &self.unknown).field("concurrency", &self.concurrency);
        handlers.finish_non_exhaustive()
    }
}
