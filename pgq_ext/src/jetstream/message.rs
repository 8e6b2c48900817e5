//! Messages of events and positions.

use async_nats::{HeaderMap, HeaderName, HeaderValue, header};
use chrono::{DateTime, SecondsFormat, Utc};
use pgq::Event;
use serde_json::json;

use super::marker::Marker;
use super::subject::{escape, extras};
use super::{Options, Payload};

// Names without an allocation for each message.
const EVENT_ID: HeaderName = HeaderName::from_static("Pgq-Event-Id");
const EVENT_TIME: HeaderName = HeaderName::from_static("Pgq-Event-Time");
const EVENT_TYPE: HeaderName = HeaderName::from_static("Pgq-Event-Type");
const RETRY: HeaderName = HeaderName::from_static("Pgq-Retry");
const EXTRAS: [HeaderName; 4] = [
    HeaderName::from_static("Pgq-Extra1"),
    HeaderName::from_static("Pgq-Extra2"),
    HeaderName::from_static("Pgq-Extra3"),
    HeaderName::from_static("Pgq-Extra4"),
];
/// The length of the first and the last line of the headers.
const HEADER_LINES: usize = "NATS/1.0\r\n\r\n".len();
/// The length of `: ` and the end of the line.
const HEADER_EXTRA: usize = ": \r\n".len();

/// A message that is to be stored.
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Vec<u8>,
    /// The id of the event, for messages about it.
    pub(super) event: Option<i64>,
    /// Whether the server replies to it.
    pub(super) has_reply: bool,
}

impl Message {
    pub(super) fn of_event(event: &Event, options: &Options) -> Message {
        Message {
            subject: options.subject.subject(event),
            headers: if options.has_headers { headers(event) } else { HeaderMap::new() },
            payload: match options.payload {
                Payload::Data => event.data().unwrap_or_default().as_bytes().to_vec(),
                Payload::Json => json(event).into_bytes(),
            },
            event: Some(event.id()),
            has_reply: false,
        }
    }

    /// Makes the message of a position.
    pub(super) fn of_marker(subject: &str, marker: &Marker) -> Message {
        let (subject, payload) = (subject.to_owned(), marker.to_json().into_bytes());
        Message { subject, headers: HeaderMap::new(), payload, event: None, has_reply: false }
    }

    /// Makes the message one of an atomic batch.
    pub(super) fn set_batch(&mut self, id: &str, sequence: usize, is_last: bool) {
        self.headers.insert(header::NATS_BATCH_ID, id);
        self.headers.insert(header::NATS_BATCH_SEQUENCE, sequence.to_string());
        if is_last {
            self.headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        }
    }

    /// Returns the size of the headers in bytes, which a message without headers does not have.
    pub(super) fn header_size(&self) -> usize {
        let headers = self.headers.iter().flat_map(|(name, values)| {
            values
                .iter()
                .map(move |value| AsRef::<[u8]>::as_ref(name).len() + value.as_str().len() + HEADER_EXTRA)
        });
        HEADER_LINES + headers.sum::<usize>()
    }
}

/// Returns the bytes of an event's columns for subjects and headers, and those of all columns.
pub(super) fn sizes(event: &Event) -> (usize, usize) {
    let extras: usize = extras(event).into_iter().flatten().map(str::len).sum();
    let columns = event.event_type().len() + extras;
    (columns, columns + event.data().map_or(0, str::len))
}

fn headers(event: &Event) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(EVENT_ID, event.id().to_string());
    headers.insert(EVENT_TIME, time_text(event.time()));
    headers.insert(EVENT_TYPE, header_text(event.event_type()));
    headers.insert(RETRY, event.retry().to_string());
    for (name, text) in EXTRAS.into_iter().zip(extras(event)) {
        if let Some(text) = text {
            headers.insert(name, header_text(text));
        }
    }
    if let Some(context) = extras(event).into_iter().flatten().find(|text| is_traceparent(text)) {
        headers.insert("traceparent", context);
    }
    headers
}

/// Returns whether a text is the context of a trace, as W3C's `traceparent` of the first version.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').filter(is_hex).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    text.starts_with("00-") && text.len() == 55 && lengths == [2, 32, 16, 2]
}

/// Returns a text as a header's value, without characters that would end it or be trimmed.
fn header_text(text: &str) -> HeaderValue {
    HeaderValue::from(escape(text, |byte| byte > b' ' && byte != 0x7f && byte != b'%'))
}

fn json(event: &Event) -> String {
    json!({
        "id": event.id(),
        "time": time_text(event.time()),
        "txid": event.txid(),
        "retry": event.retry(),
        "type": event.event_type(),
        "data": event.data(),
        "extra1": event.extra1(),
        "extra2": event.extra2(),
        "extra3": event.extra3(),
        "extra4": event.extra4(),
    })
    .to_string()
}

fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
