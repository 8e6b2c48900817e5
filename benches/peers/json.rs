//! A minimal JSON writer for the report.

use std::fmt::Write;

/// A JSON value.
pub(crate) enum Json {
    Text(String),
    Number(f64),
    Boolean(bool),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Makes a text.
    pub(crate) fn text(text: &str) -> Json {
        Json::Text(text.to_owned())
    }

    /// Makes an object.
    pub(crate) fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
        Json::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Returns the text form.
    pub(crate) fn render(&self) -> String {
        match self {
            Json::Text(text) => quote(text),
            Json::Number(number) => number.to_string(),
            Json::Boolean(value) => value.to_string(),
            Json::List(items) => {
                let items: Vec<String> = items.iter().map(Json::render).collect();
                format!("[{}]", items.join(","))
            }
            Json::Object(fields) => {
                let field = |(name, value): &(String, Json)| format!("{}:{}", quote(name), value.render());
                let fields: Vec<String> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(",\n"))
            }
        }
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
