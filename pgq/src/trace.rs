//! Traces that go from a producer to its consumers. See [`guide::tracing`](crate::guide::tracing).

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The length of a `traceparent` of the first version, in bytes.
const LENGTH: usize = 55;

/// A column of events for which PgQ has no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// `ev_extra1`. Trigger functions write the table's name there.
    One,
    /// `ev_extra2`.
    Two,
    /// `ev_extra3`.
    Three,
    /// `ev_extra4`.
    Four,
}

/// Returns the context of the current span as W3C's `traceparent`, or `None` if there is none.
///
/// [`NewEvent::traceparent`](crate::NewEvent::traceparent) writes it into an event. This function is for other ways to
/// produce events, such as a statement of your own or a setting that a trigger reads.
pub fn traceparent() -> Option<String> {
    let of_span = Span::current().context();
    let of_span = of_span.span().span_context().clone();
    let context = if of_span.is_valid() {
        of_span
    } else {
        opentelemetry::Context::map_current(|current| current.span().span_context().clone())
    };
    context.is_valid().then(|| written(&context))
}

fn written(context: &SpanContext) -> String {
    let flags = context.trace_flags().to_u8();
    format!("00-{:032x}-{:016x}-{flags:02x}", context.trace_id(), context.span_id())
}

/// Returns the context in a `traceparent`, or `None` if the text is no valid one.
pub(crate) fn read(text: &str) -> Option<SpanContext> {
    let (known, later) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId::from(hex(parts.next()?, 32)?);
    let span = SpanId::from(u64::try_from(hex(parts.next()?, 16)?).ok()?);
    let flags = TraceFlags::new(u8::try_from(hex(parts.next()?, 2)?).ok()?) & TraceFlags::SAMPLED;
    // Later versions may add fields.
    let is_whole = later.is_empty() || version > 0 && later.starts_with('-');
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    (version < 0xff && is_whole && context.is_valid()).then_some(context)
}

/// Reads a number of so many lower-case digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.len() == digits && text.bytes().all(is_digit);
    if is_number { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_returns_as_it_was_written() {
        let context = read(VALID).expect("is valid");
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(written(&context), VALID);
        let unsampled = VALID.replace("-01", "-00");
        assert_eq!(read(&unsampled).map(|context| written(&context)), Some(unsampled));
    }

    #[test]
    fn a_context_without_a_span_is_written_too() {
        assert_eq!(traceparent(), None);
        let context = read(VALID).expect("is valid");
        let _attached = opentelemetry::Context::new().with_remote_span_context(context).attach();
        assert_eq!(traceparent().as_deref(), Some(VALID));
    }

    #[test]
    fn later_versions_may_have_more_fields() {
        for text in [VALID.replacen("00", "01", 1), format!("{}-more", VALID.replacen("00", "fe", 1))] {
            assert_eq!(read(&text), read(VALID), "{text}");
        }
    }

    #[test]
    fn what_is_no_context_is_ignored() {
        let replaced = |from, to| VALID.replacen(from, to, 1);
        for text in [
            String::new(),
            "public.users".to_owned(),
            "é".repeat(40),
            format!("{VALID}-more"),
            format!("{} more", replaced("00", "01")),
            VALID[..54].to_owned(),
            VALID.to_uppercase(),
            VALID.replace('-', "_"),
            replaced("00", "ff"),
            replaced("4bf", "+bf"),
            replaced("4bf", "-bf"),
            replaced("00f067aa0ba902b7", "0000000000000000"),
            replaced("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            replaced("b7-01", "b7-0g"),
            replaced("b7-01", "b7-é"),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
