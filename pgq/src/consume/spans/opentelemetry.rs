//! Attributes of spans from OpenTelemetry's conventions for messaging.

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, Value};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::kind::Names;
use crate::event::stored_event::Event;
use crate::trace;

pub(super) fn describe_batch(span: &Span, names: &Names) {
    if !span.is_disabled() {
        describe(span, names, "batch");
    }
}

/// Describes the span of an event. If the event has a trace, the span continues it, and is linked to the batch's.
pub(super) fn describe_event(span: &Span, names: &Names, event: &Event, batch: &Span) {
    if span.is_disabled() {
        return;
    }
    let extras = [event.extra1(), event.extra2(), event.extra3(), event.extra4()];
    if let Some(producer) = extras.into_iter().flatten().find_map(trace::read)
        && span.set_parent(Context::new().with_remote_span_context(producer)).is_ok()
    {
        span.follows_from(batch);
    }
    describe(span, names, "process");
    span.set_attribute("messaging.message.id", event.id().to_string());
}

fn describe(span: &Span, names: &Names, operation: &'static str) {
    span.record("otel.name", format!("{operation} {}", names.queue));
    span.record("otel.kind", "consumer");
    span.set_attribute("messaging.system", "pgq");
    span.set_attribute("messaging.operation.name", operation);
    span.set_attribute("messaging.operation.type", "process");
    span.set_attribute("messaging.destination.name", names.queue.clone());
    span.set_attribute("messaging.consumer.group.name", names.consumer.clone());
}

pub(super) fn count(span: &Span, events: u64) {
    span.set_attribute(
        "messaging.batch.message_count",
        Value::I64(i64::try_from(events).unwrap_or(i64::MAX)),
    );
}

pub(super) fn fail(span: &Span, reason: &str) {
    span.set_status(Status::error(reason.to_owned()));
}
