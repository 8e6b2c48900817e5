//! JSON into values and fields.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Fields;
use crate::{BoxError, Error};

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
    D: Deserializer<'a, Error: Send + Sync + 'static>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let place = error.path().to_string();
        let cause = error.into_inner();
        let cause: BoxError =
            if place == "." { cause.into() } else { format!("field `{place}`: {cause}").into() };
        Error::payload(what).caused_by(cause)
    })
}

/// Reads a JSON object as the fields that `logutriga` would have written for the same row.
pub(super) fn fields(text: &str) -> Result<Fields<'static>, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json.deserialize_map(OfObject);
    let fields = fields.and_then(|fields| json.end().map(|()| fields));
    fields.map_err(|error| Error::payload("cannot read the JSON").caused_by(error))
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
        assert!(error.is_payload());
        assert_eq!(dbscript::describe(&error), format!("cannot read the JSON: {expected}"));
    }

    #[test]
    fn errors_name_the_field() {
        check_error(
            r#"{"a":[1,300]}"#,
            "field `a[1]`: invalid value: integer `300`, expected u8 at line 1 column 11",
        );
        check_error("[]", "invalid type: sequence, expected a map at line 1 column 0");
        check_error("{} x", "trailing characters at line 1 column 4");
        assert!(fields("[1]").expect_err("no object").is_payload());
    }
}
