//! JSON into values and fields.

use std::borrow::Cow;
use std::fmt;

use dbscript::DataError;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fields;
use crate::error::Error;

/// Makes a value out of JSON.
pub(super) fn value<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    const WHAT: &str = "cannot read the JSON";
    let mut json = serde_json::Deserializer::from_str(text);
    let value = located(WHAT, &mut json)?;
    json.end().map_err(|error| Error::payload(WHAT).caused_by(error))?;
    Ok(value)
}

/// Makes a value; an error says what failed and names the field.
pub(super) fn located<'a, T, D>(what: &str, deserializer: D) -> Result<T, Error>
where
    T: Deserialize<'a>,
    D: Deserializer<'a>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let place = error.path().to_string();
        let place = if place == "." { String::new() } else { format!("field `{place}`: ") };
        Error::payload(what).caused_by(flaw(&place, &error.into_inner()))
    })
}

/// Makes an error whose text for logs leaves out the value that is wrong; the name of a missing field is none.
fn flaw(place: &str, error: &impl fmt::Display) -> DataError {
    let text = error.to_string();
    let for_log = match text.starts_with("missing field") {
        true => text.clone(),
        false => DataError::quoting(&*text).for_log().to_owned(),
    };
    DataError::new(format!("{place}{text}"), format!("{place}{for_log}"))
}

/// Reads a JSON object as the fields that `logutriga` would have written for the same row.
pub(super) fn fields(text: &str) -> Result<Fields<'static>, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json.deserialize_map(OfObject);
    let fields = fields.and_then(|fields| json.end().map(|()| fields));
    fields.map_err(|error| Error::payload("cannot read the JSON").caused_by(flaw("", &error)))
}

/// Writes a value as JSON.
pub(crate) fn written(value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::payload("cannot write the JSON").caused_by(error))
}

/// Makes the fields of a structure or a map, as [`fields`] reads them.
pub(crate) fn fields_of(value: &(impl Serialize + ?Sized)) -> Result<Fields<'static>, Error> {
    let text = written(value)?;
    let kind = match text.as_bytes().first() {
        Some(b'{') => return fields(&text),
        Some(b'[') => "a sequence",
        Some(b'"') => "a text",
        Some(b'n') => "a value that is absent",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    Err(Error::payload(format!("cannot write the fields: {kind} has none; use a structure or a map")))
}

struct OfObject;

impl<'de> Visitor<'de> for OfObject {
    type Value = Fields<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields<'static>, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = object.next_entry::<String, Value>()? {
            fields.put(Cow::Owned(name), text(value).map(Cow::Owned));
        }
        Ok(fields)
    }
}

/// Writes a value as PostgreSQL would.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(if value { "t" } else { "f" }.to_owned()),
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_object_becomes_fields() {
        let text = r#"{"z":1,"a":null,"b":true,"t":"x\ny","n":"1.50","i":9223372036854775807,"j":{"k":[1]}}"#;
        let fields = fields(text).expect("valid");
        let expected = r#"{'z': '1', 'a': None, 'b': 't', 't': 'x\ny', 'n': '1.50', 'i': '9223372036854775807', 'j': '{"k":[1]}'}"#;
        assert_eq!(fields.to_string(), expected);
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = value::<HashMap<String, Vec<u8>>>(text).expect_err(text);
        assert!(error.kind() == ErrorKind::Payload);
        assert_eq!(dbscript::describe_in_full(&error), format!("cannot read the JSON: {expected}"));
    }

    #[test]
    fn errors_name_the_field() {
        check_error(
            r#"{"a":[1,300]}"#,
            "field `a[1]`: invalid value: integer `300`, expected u8 at line 1 column 11",
        );
        check_error("[]", "invalid type: sequence, expected a map at line 1 column 0");
        check_error("{} x", "trailing characters at line 1 column 4");
        assert!(fields("[1]").expect_err("no object").kind() == ErrorKind::Payload);
    }

    #[test]
    fn a_log_shows_no_value() {
        let check = |error: Error, expected: &str| assert_eq!(dbscript::describe(&error), expected);
        let error = value::<HashMap<String, u8>>(r#"{"a":"secret"}"#).expect_err("no number");
        check(
            error,
            "cannot read the JSON: field `a`: invalid type: string \"…\", expected u8 at line 1 column 13",
        );
        check(
            fields("\"secret\"").expect_err("no object"),
            "cannot read the JSON: invalid type: string \"…\", expected an object at line 1 column 8",
        );
    }
}
