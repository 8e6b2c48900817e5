//! Layouts: the rendering of messages as text.

mod conversion;
pub(crate) mod date_format;
pub(crate) mod format;

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde_json::Value;

use crate::logging::entry::Entry;
use crate::logging::level;
use crate::text::printable::{one_line, printable_json};
use format::{Format, Origin};

/// A line in a format, a framed message in a format, or a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layout {
    /// A line; line ends and terminal commands are escaped.
    Text(Format),
    /// A message for a receiver that frames it; nothing is escaped.
    Framed(Format),
    /// One JSON object in a line.
    Json,
}

impl Layout {
    pub(crate) fn shows_address(&self) -> bool {
        matches!(self, Layout::Text(format) | Layout::Framed(format) if format.shows_address())
    }

    pub(crate) fn render(&self, entry: &Entry<'_>, origin: &Origin<'_>) -> String {
        match self {
            Layout::Text(format) => format.render(entry, origin, one_line),
            Layout::Framed(format) => format.render(entry, origin, |text| Cow::Borrowed(text)),
            Layout::Json => json(entry, origin),
        }
    }
}

impl Default for Layout {
    fn default() -> Layout {
        Layout::Text(Format::default())
    }
}

fn json(entry: &Entry<'_>, origin: &Origin<'_>) -> String {
    let time = entry.created.to_rfc3339_opts(SecondsFormat::Millis, false);
    let fields = [
        ("time", Value::from(time)),
        ("level", Value::from(level::name(entry.level))),
        ("pid", Value::from(std::process::id())),
        ("job", Value::from(origin.identity.job_name.as_str())),
        ("service", Value::from(origin.identity.service_name.as_str())),
        ("target", Value::from(entry.name)),
        ("message", Value::from(entry.message)),
    ];
    // A `serde_json::Map` would sort the fields by name.
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    printable_json(&format!("{{{}}}", fields.join(","))).into_owned()
}
