//! A tracer of OpenTelemetry that keeps its spans.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState,
};
use opentelemetry::{Context, KeyValue};
use tracing::subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// A span that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: TraceId,
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) links: Vec<SpanId>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) status: Status,
}

/// Clones have the same spans.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Arc<Mutex<Vec<Traced>>>);

/// A span that is written.
pub(crate) struct Written {
    tracer: Tracer,
    context: SpanContext,
    span: Traced,
}

/// Runs code that is traced, and returns the spans in the order of their ends.
pub(crate) fn capture(code: impl FnOnce()) -> Vec<Traced> {
    let tracer = Tracer::default();
    let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone());
    subscriber::with_default(Registry::default().with(layer), code);
    let spans = tracer.0.lock().unwrap_or_else(PoisonError::into_inner);
    spans.clone()
}

impl opentelemetry::trace::Tracer for Tracer {
    type Span = Written;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Written {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let parent = parent.span().span_context().clone();
        let trace = if parent.is_valid() { parent.trace_id() } else { TraceId::from(u128::from(id)) };
        let span = Traced {
            name: builder.name.into_owned(),
            kind: builder.span_kind.unwrap_or(SpanKind::Internal),
            trace,
            id: SpanId::from(id),
            parent: parent.span_id(),
            links: builder.links.into_iter().flatten().map(|link| link.span_context.span_id()).collect(),
            attributes: builder.attributes.into_iter().flatten().map(pair).collect(),
            status: Status::Unset,
        };
        let context = SpanContext::new(trace, span.id, TraceFlags::SAMPLED, false, TraceState::NONE);
        Written { tracer: self.clone(), context, span }
    }
}

fn pair(attribute: KeyValue) -> (String, String) {
    (attribute.key.to_string(), attribute.value.to_string())
}

impl Span for Written {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        _: T,
        _: SystemTime,
        _: Vec<KeyValue>,
    ) {
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.span.attributes.extend([pair(attribute)]);
    }

    fn set_status(&mut self, status: Status) {
        self.span.status = status;
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        self.span.name = name.into().into_owned();
    }

    fn add_link(&mut self, to: SpanContext, _: Vec<KeyValue>) {
        self.span.links.push(to.span_id());
    }

    fn end_with_timestamp(&mut self, _: SystemTime) {
        let mut spans = self.tracer.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.push(self.span.clone());
    }
}
