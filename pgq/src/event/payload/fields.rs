//! The fields of an event's data.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;

use super::column::Column;
use super::{json, urlencode};
use crate::error::Error;

/// Named texts in order, each of which may be NULL: the fields of an event, or the columns of a row.
///
/// Shown as Python shows a dict: `{'hi!': None, 'username': 'kristokaiv'}`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields<'a>(IndexMap<Cow<'a, str>, Option<Cow<'a, str>>>);

impl<'a> Fields<'a> {
    /// Returns the field of a name: `None` when there is none, `Some(None)` when it is NULL.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0.get(name).map(Option::as_deref)
    }

    /// Returns the text of a field that has to be there.
    ///
    /// # Errors
    ///
    /// When there is no such field, and when it is NULL ([`ErrorKind::Payload`](crate::ErrorKind::Payload)).
    pub fn require(&self, name: &str) -> Result<&str, Error> {
        match self.get(name) {
            Some(Some(text)) => Ok(text),
            Some(None) => Err(Error::payload(format!("field `{name}` is NULL"))),
            None => Err(Error::payload(format!("there is no field `{name}`"))),
        }
    }

    /// Returns the fields one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Returns how many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Encodes the fields. See [`urlencode`].
    pub fn urlencode(&self) -> String {
        urlencode(self.iter())
    }

    /// Makes a value out of the fields, each of which is read as PostgreSQL writes its type: `t` and `f` and all else
    /// that it takes for a boolean, numbers, text, NULL for an `Option`, `{1,2}` of one dimension for a sequence, `\x`
    /// and digits for bytes or a sequence of them, a variant's name for an enum, JSON for a structure, a map or a
    /// sequence. Dates and times become `chrono`'s types from ISO 8601 and from what PostgreSQL writes, with its
    /// default `DateStyle`. What the value has no place for is ignored, if it does not refuse that itself.
    ///
    /// Where `serde` asks for no type, every field is a text or NULL: in what `#[serde(flatten)]` collects, in an
    /// untagged enum, in a `serde_json::Value`. Numbers and booleans in these have to be made of the text, by
    /// `#[serde(deserialize_with)]` for instance, and errors in a flattened part do not name the field.
    ///
    /// A value that borrows, `&str` for instance, finds only text that was not quoted; `String` and `Cow<str>` take
    /// all.
    ///
    /// # Errors
    ///
    /// When a field is missing, and when its text is not of its type
    /// ([`ErrorKind::Payload`](crate::ErrorKind::Payload)).
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     id: i64,
    ///     email: Option<String>,
    ///     active: bool,
    ///     tags: Vec<String>,
    /// }
    ///
    /// # fn main() -> Result<(), pgq::Error> {
    /// let fields = pgq::payload::urldecode("id=7&email&active=t&tags=%7bnew,vip%7d")?;
    /// let user: User = fields.deserialize()?;
    /// assert_eq!((user.id, user.email, user.active), (7, None, true));
    /// assert_eq!(user.tags, ["new", "vip"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn deserialize<T: Deserialize<'a>>(self) -> Result<T, Error> {
        let fields = self.0.into_iter().map(|(name, value)| (Column::name(name), Column::value(value)));
        json::located("cannot read the fields", serde::de::value::MapDeserializer::new(fields))
    }

    /// Copies what is borrowed.
    pub fn into_owned(self) -> Fields<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Fields(self.0.into_iter().map(|(name, value)| (owned(name), value.map(owned))).collect())
    }

    /// Adds a field; one of the same name keeps its place and gets the new value.
    pub(crate) fn put(&mut self, name: Cow<'a, str>, value: Option<Cow<'a, str>>) {
        self.0.insert(name, value);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, Option<V>)> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (N, Option<V>)>>(fields: I) -> Fields<'a> {
        Fields(fields.into_iter().map(|(name, value)| (name.into(), value.map(Into::into))).collect())
    }
}

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "{";
        for (name, value) in self.iter() {
            f.write_str(separator)?;
            write_quoted(f, name)?;
            f.write_str(": ")?;
            match value {
                Some(value) => write_quoted(f, value)?,
                None => f.write_str("None")?,
            }
            separator = ", ";
        }
        f.write_str(if self.is_empty() { "{}" } else { "}" })
    }
}

/// As `Display`.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Quotes a text as Python does; a line stays one line.
fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    write!(f, "{quote}")?;
    for character in text.chars() {
        match character {
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            _ if character == quote => write!(f, "\\{quote}")?,
            _ if character.is_control() => write!(f, "\\x{:02x}", u32::from(character))?,
            _ => write!(f, "{character}")?,
        }
    }
    write!(f, "{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shown_as_a_dict() {
        let fields = Fields::from_iter([("hi!", None), ("username", Some("kristokaiv"))]);
        assert_eq!(fields.to_string(), "{'hi!': None, 'username': 'kristokaiv'}");
        assert_eq!(format!("{fields:?}"), fields.to_string());
        let odd = Fields::from_iter([("it's", Some("a\\b\n\u{1}é")), ("\"'", Some("\""))]);
        assert_eq!(odd.to_string(), r#"{"it's": 'a\\b\n\x01é', '"\'': '"'}"#);
        assert_eq!(Fields::default().to_string(), "{}");
    }

    #[test]
    fn a_missing_field_and_a_null_differ() {
        let fields = super::super::urldecode("null&empty=&id=1").expect("valid");
        assert_eq!((fields.get("null"), fields.get("gone")), (Some(None), None));
        assert_eq!((fields.require("empty").ok(), fields.len()), (Some(""), 3));
        let error = |name| fields.require(name).expect_err("not there").to_string();
        assert_eq!(error("null"), "field `null` is NULL");
        assert_eq!(error("gone"), "there is no field `gone`");
        let owned = fields.clone().into_owned();
        assert_eq!((owned.urlencode().as_str(), owned), ("null&empty=&id=1", fields));
    }
}
