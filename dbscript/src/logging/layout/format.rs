//! Formats of log lines such as `2007-10-19 20:59:59,968 7634 DEBUG Attaching`.

use std::borrow::Cow;
use std::time::Instant;

use super::conversion::{Conversion, Value};
use super::date_format::DateFormat;
use crate::logging::entry::Entry;
use crate::logging::identity::Identity;
use crate::logging::level;

/// The default format.
pub(crate) const DEFAULT_FORMAT: &str = "%(asctime)s %(process)s %(levelname)s %(message)s";

/// A format in the notation of Python's `logging`: text with `%(name)s` for a record's fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    date: DateFormat,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    Time(Conversion),
    Field(Field, Conversion),
}

/// The process and the source location of a message.
pub(crate) struct Origin<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
    pub(crate) started: Instant,
}

/// Escapes a text for its destination.
pub(crate) type Escape = fn(&str) -> Cow<'_, str>;

impl Format {
    /// Returns the format of a handler without one: only the message.
    pub(crate) fn message() -> Format {
        let message = Piece::Field(Field::Message, Conversion::default());
        Format { pieces: vec![message], date: DateFormat::new("") }
    }

    /// Parses a format and its date format. An empty format is the message alone, an empty date format the default one.
    ///
    /// # Errors
    ///
    /// A message about an unknown field, a conversion that does not fit the field, or a stray `%`.
    pub(crate) fn parse(format: &str, date: &str) -> Result<Format, String> {
        if format.is_empty() {
            return Ok(Format::message());
        }
        let mut rest = format;
        let mut pieces = Vec::new();
        let mut literal = String::new();
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (field, after) = field(rest)?;
            rest = after;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(field);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Format { pieces, date: DateFormat::new(date) })
    }

    /// Returns true if the format shows the host's address, whose lookup may take time.
    pub(crate) fn shows_address(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Field(Field::HostAddr, _)))
    }

    /// Renders an entry; `escape` is applied to every text field.
    pub(crate) fn render(&self, entry: &Entry<'_>, origin: &Origin<'_>, escape: Escape) -> String {
        let mut text = String::with_capacity(entry.message.len() + 64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Time(conversion) => {
                    conversion.render(&Value::Text(&self.date.render(entry.created)), &mut text);
                }
                Piece::Field(field, conversion) => {
                    match field.value(entry, origin, std::thread::current().name()) {
                        Value::Text(value) => conversion.render(&Value::Text(&escape(value)), &mut text),
                        value => conversion.render(&value, &mut text),
                    }
                }
            }
        }
        text
    }
}

impl Default for Format {
    fn default() -> Format {
        Format::parse(DEFAULT_FORMAT, "").expect("the constant is a valid format, as the tests show")
    }
}

/// Parses a field at the start of the text after a percent sign, and returns the rest.
fn field(text: &str) -> Result<(Piece, &str), String> {
    let (name, rest) = text
        .strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .ok_or_else(|| "a `%` must be followed by `%` or `(name)s`; `%%` is one percent sign".to_owned())?;
    let (conversion, rest) = Conversion::parse(rest).map_err(|what| format!("`%({name})`: {what}"))?;
    let field = Field::named(name);
    if conversion.is_numeric() && !field.is_some_and(Field::is_number) {
        return Err(format!("`%({name})` is no number of a message"));
    }
    match field {
        Some(field) => Ok((Piece::Field(field, conversion), rest)),
        None if name == "asctime" => Ok((Piece::Time(conversion), rest)),
        None => Err(format!("`%({name})` is no field of a message")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Created,
    FileName,
    Function,
    HostAddr,
    HostName,
    JobName,
    LevelName,
    LevelNumber,
    Line,
    Message,
    Milliseconds,
    Module,
    Name,
    PathName,
    Process,
    ProcessName,
    RelativeCreated,
    ServiceName,
    Thread,
    ThreadName,
}

impl Field {
    fn named(name: &str) -> Option<Field> {
        Some(match name {
            "created" => Field::Created,
            "filename" => Field::FileName,
            "funcName" => Field::Function,
            "hostaddr" => Field::HostAddr,
            "hostname" => Field::HostName,
            "job_name" => Field::JobName,
            "levelname" => Field::LevelName,
            "levelno" => Field::LevelNumber,
            "lineno" => Field::Line,
            "message" => Field::Message,
            "module" => Field::Module,
            "msecs" => Field::Milliseconds,
            "name" => Field::Name,
            "pathname" => Field::PathName,
            "process" => Field::Process,
            "processName" => Field::ProcessName,
            "relativeCreated" => Field::RelativeCreated,
            "service_name" => Field::ServiceName,
            "thread" => Field::Thread,
            "threadName" => Field::ThreadName,
            _ => return None,
        })
    }

    fn is_number(self) -> bool {
        use Field::{Created, LevelNumber, Line, Milliseconds, Process, RelativeCreated, Thread};
        matches!(self, Created | LevelNumber | Line | Milliseconds | Process | RelativeCreated | Thread)
    }

    fn value<'a>(self, entry: &Entry<'a>, origin: &Origin<'a>, thread: Option<&'a str>) -> Value<'a> {
        let path = origin.file.unwrap_or("(unknown file)");
        let file = path.rsplit('/').next().unwrap_or(path);
        match self {
            Field::Message => Value::Text(entry.message),
            Field::Created => Value::Real(entry.created.timestamp_micros() as f64 / 1e6),
            Field::FileName => Value::Text(file),
            // Rust does not report the function; Python has this text for the same case.
            Field::Function => Value::Text("(unknown function)"),
            Field::HostAddr => Value::Text(&origin.identity.hostaddr),
            Field::HostName => Value::Text(&origin.identity.hostname),
            Field::JobName => Value::Text(&origin.identity.job_name),
            Field::LevelName => Value::Text(level::name(entry.level)),
            Field::LevelNumber => Value::Integer(level::number(entry.level)),
            Field::Line => Value::Integer(origin.line.unwrap_or(0).into()),
            Field::Milliseconds => Value::Real(entry.created.timestamp_subsec_millis().into()),
            Field::Module => Value::Text(file.rsplit_once('.').map_or(file, |(stem, _)| stem)),
            Field::Name => Value::Text(entry.name),
            Field::PathName => Value::Text(path),
            Field::Process => Value::Integer(std::process::id().into()),
            Field::ProcessName => Value::Text("MainProcess"),
            Field::RelativeCreated => Value::Real(origin.started.elapsed().as_secs_f64() * 1000.0),
            Field::ServiceName => Value::Text(&origin.identity.service_name),
            Field::Thread => Value::Integer(nix::unistd::gettid().as_raw().into()),
            Field::ThreadName => Value::Text(match thread {
                Some("main") => "MainThread",
                name => name.unwrap_or("Thread"),
            }),
        }
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
