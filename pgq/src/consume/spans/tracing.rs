//! Spans of the crate `tracing`.

use std::error::Error as StdError;
use std::sync::Arc;

use dbscript::{BoxError, describe};
use tracing::field::Empty;
#[cfg(feature = "tokio")]
use tracing::instrument::{Instrument, Instrumented};
use tracing::subscriber::NoSubscriber;
use tracing::{Span, dispatcher, error, info_span, warn};

#[cfg(feature = "opentelemetry")]
use super::opentelemetry;
use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::consume::settings::Settings;
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::Event;

const BATCH: &str = "pgq::batch";
const EVENT: &str = "pgq::event";

/// Returns whether anything receives spans. Without a subscriber, `tracing` may write them to the log, if another crate
/// has turned on its feature `log`.
fn has_subscriber() -> bool {
    dispatcher::get_default(|subscriber| !subscriber.is::<NoSubscriber>())
}

/// The span of a batch, from its opening to its end. Clones are the same span.
#[derive(Clone)]
pub(crate) struct BatchSpan {
    names: Arc<Names>,
    span: Span,
}

/// The fields that a batch and its events share.
pub(super) struct Names {
    pub(super) queue: String,
    pub(super) consumer: String,
    subconsumer: Option<String>,
    batch: i64,
}

impl BatchSpan {
    pub(crate) fn new(settings: &Settings, info: &BatchInfo) -> BatchSpan {
        let names = Names {
            queue: settings.queue.clone(),
            consumer: settings.consumer.clone(),
            subconsumer: settings.subconsumer.clone(),
            batch: info.id,
        };
        if !has_subscriber() {
            return BatchSpan { names: Arc::new(names), span: Span::none() };
        }
        let span = info_span!(
            target: BATCH,
            "batch",
            queue = names.queue,
            consumer = names.consumer,
            subconsumer = names.subconsumer,
            batch = names.batch,
            events = Empty,
            retried = Empty,
            failed = Empty,
            outcome = Empty,
            otel.name = Empty,
            otel.kind = Empty,
        );
        #[cfg(feature = "opentelemetry")]
        opentelemetry::describe_batch(&span, &names);
        BatchSpan { names: Arc::new(names), span }
    }

    /// Makes the span of one call of an event's handler.
    pub(crate) fn event(&self, event: &Event) -> EventSpan {
        if !has_subscriber() {
            return EventSpan(Span::none());
        }
        let names = &self.names;
        let span = info_span!(
            target: EVENT,
            parent: &self.span,
            "event",
            queue = names.queue,
            consumer = names.consumer,
            subconsumer = names.subconsumer,
            batch = names.batch,
            event = event.id(),
            "type" = event.event_type(),
            retry = event.retry(),
            outcome = Empty,
            delay_seconds = Empty,
            reason = Empty,
            otel.name = Empty,
            otel.kind = Empty,
        );
        #[cfg(feature = "opentelemetry")]
        opentelemetry::describe_event(&span, names, event, &self.span);
        EventSpan(span)
    }

    /// Runs code within the span.
    pub(crate) fn call<T>(&self, code: impl FnOnce() -> T) -> T {
        self.span.in_scope(code)
    }

    /// Makes a future that is polled within the span.
    #[cfg(feature = "tokio")]
    pub(crate) fn instrument<F: Future>(&self, code: F) -> Instrumented<F> {
        code.instrument(self.span.clone())
    }

    /// Records that the batch is committed.
    pub(crate) fn finished(&self, delivered: &Delivered) {
        self.span.record("events", delivered.events);
        self.span.record("retried", delivered.retried);
        self.span.record("failed", delivered.failed);
        self.span.record("outcome", "finished");
        #[cfg(feature = "opentelemetry")]
        opentelemetry::count(&self.span, delivered.events);
    }

    /// Records that the batch was given up, and is delivered again.
    pub(crate) fn redelivered(&self) {
        self.span.record("outcome", "redelivered");
    }

    /// Records the end of a batch that is not [`finished`](BatchSpan::finished).
    pub(crate) fn ended(&self, result: &Result<Delivered, BoxError>) {
        match result {
            Ok(delivered) if delivered.redelivered => self.redelivered(),
            Ok(_) => {}
            Err(cause) => {
                self.span.record("outcome", "error");
                if !self.span.is_none() {
                    error!(target: BATCH, parent: &self.span, error = %describe(&**cause));
                }
            }
        }
    }
}

/// The span of one call of an event's handler.
pub(crate) struct EventSpan(Span);

impl EventSpan {
    /// Runs code within the span.
    pub(crate) fn call<T>(&self, handler: impl FnOnce() -> T) -> T {
        self.0.in_scope(handler)
    }

    /// Makes a future that is polled within the span.
    #[cfg(feature = "tokio")]
    pub(crate) fn instrument<F: Future>(&self, handler: F) -> Instrumented<F> {
        handler.instrument(self.0.clone())
    }

    /// Records the error of a handler, and the outcome that a retry policy has made of it. Like the log, the span omits
    /// values of rows, which the outcome's reason has.
    pub(crate) fn failed(&self, cause: &(dyn StdError + 'static), outcome: &Outcome) {
        if let Outcome::Failed(_) = outcome {
            self.error(cause);
            self.settled(&Outcome::Failed(describe(cause)));
        } else {
            if !self.0.is_none() {
                warn!(target: EVENT, parent: &self.0, error = %describe(cause));
            }
            self.settled(outcome);
        }
    }

    fn error(&self, cause: &(dyn StdError + 'static)) {
        if !self.0.is_none() {
            error!(target: EVENT, parent: &self.0, error = %describe(cause));
        }
    }

    /// Records the outcome, or the error for which the batch is delivered again.
    pub(crate) fn ended(&self, result: &Result<Outcome, BoxError>) {
        match result {
            Ok(outcome) => self.settled(outcome),
            Err(cause) => self.broke(&**cause),
        }
    }

    /// Records the error for which the batch is delivered again.
    pub(crate) fn broke(&self, cause: &(dyn StdError + 'static)) {
        self.0.record("outcome", "error");
        self.error(cause);
    }

    /// Records the outcome.
    pub(crate) fn settled(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done => {
                self.0.record("outcome", "done");
            }
            Outcome::Retry(delay) => {
                self.0.record("outcome", "retry");
                self.0.record("delay_seconds", delay.as_secs_f64());
            }
            Outcome::Failed(reason) => {
                self.0.record("outcome", "failed");
                self.0.record("reason", reason);
                #[cfg(feature = "opentelemetry")]
                opentelemetry::fail(&self.0, reason);
            }
        }
    }
}
