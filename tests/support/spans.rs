//! A subscriber that keeps spans and their events.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber, subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The fields of a span or an event, as texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

/// A span that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// The place of the parent in the list of spans.
    pub(crate) parent: Option<usize>,
    pub(crate) fields: Fields,
    pub(crate) events: Vec<(Level, Fields)>,
    pub(crate) is_closed: bool,
}

/// A layer that keeps all spans. Clones have the same spans.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<Span>>>);

/// The place of a span in the list.
struct Place(usize);

/// Runs code that is traced, and returns the spans of this crate in the order of their beginnings.
pub(crate) fn capture(code: impl FnOnce()) -> Vec<Span> {
    let spans = Spans::default();
    subscriber::with_default(Registry::default().with(spans.clone()), code);
    spans.list()
}

impl Spans {
    pub(crate) fn list(&self) -> Vec<Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update<S: Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        id: &Id,
        cx: &Context<'_, S>,
        update: impl FnOnce(&mut Span),
    ) {
        let place = cx.span(id).and_then(|span| span.extensions().get::<Place>().map(|Place(place)| *place));
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(span) = place.and_then(|place| spans.get_mut(place)) {
            update(span);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id).filter(|span| span.metadata().target().starts_with("pgq::")) else {
            return;
        };
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Place>().map(|place| place.0));
        let (name, target) = (span.name(), span.metadata().target());
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        span.extensions_mut().insert(Place(spans.len()));
        spans.push(Span { name, target, parent, fields, events: Vec::new(), is_closed: false });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        self.update(id, &cx, |span| values.record(&mut span.fields));
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(parent) = cx.event_span(event) {
            self.update(&parent.id(), &cx, |span| span.events.push((*event.metadata().level(), fields)));
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        self.update(&id, &cx, |span| span.is_closed = true);
    }
}

impl Fields {
    /// Returns a field's text; empty if it has none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Returns some fields' texts.
    pub(crate) fn all<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.get(name))
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
