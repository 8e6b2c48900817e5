//! How a message becomes text.

mod conversion;
pub(crate) mod date_format;
pub(crate) mod format;

use chrono::SecondsFormat;
use serde_json::Value;

use crate::logging::entry::Entry;
use crate::logging::level;
use format::{Format, Origin};

/// A line in a format, or a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layout {
    Text(Format),
    Json,
}

impl Layout {
    pub(crate) fn shows_address(&self) -> bool {
        matches!(self, Layout::Text(format) if format.shows_address())
    }

    pub(crate) fn render(&self, entry: &Entry<'_>, origin: &Origin<'_>) -> String {
        match self {
            Layout::Text(format) => format.render(entry, origin),
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
    // A map of the library's would put the fields in alphabetical order.
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}
