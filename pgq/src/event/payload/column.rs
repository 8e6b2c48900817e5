//! One field for `serde`: a text as PostgreSQL writes values, or NULL.

use std::borrow::Cow;

use serde::de::value::{Error, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};

use super::{array, iso_time};

/// How much of a wrong text an error shows, in characters.
const SHOWN: usize = 60;

/// A text as PostgreSQL writes values, or NULL.
pub(super) struct Column<'de>(Option<Cow<'de, str>>);

impl<'de> Column<'de> {
    pub(super) fn name(name: Cow<'de, str>) -> Column<'de> {
        Column(Some(name))
    }

    fn owned(value: Option<String>) -> Column<'de> {
        Column(value.map(Cow::Owned))
    }

    pub(super) fn value(value: Option<Cow<'de, str>>) -> Column<'de> {
        Column(value)
    }

    fn visit_text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_time = iso_time::is_wanted_by::<V::Value>();
        match self.0.as_deref().filter(|_| is_time).and_then(iso_time::of_timestamp) {
            Some(iso) => visitor.visit_string(iso),
            None => self.visit_own(visitor),
        }
    }

    fn visit_own<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Some(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Some(Cow::Owned(text)) => visitor.visit_string(text),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn unexpected(&self, expected: &dyn de::Expected) -> Error {
        unexpected(self.0.as_deref(), expected)
    }

    fn json(&self, expected: &dyn de::Expected) -> Result<serde_json::Value, Error> {
        let text = self.0.as_deref().ok_or_else(|| self.unexpected(expected))?;
        serde_json::from_str(text).map_err(|_| self.unexpected(expected))
    }
}

fn unexpected(text: Option<&str>, expected: &dyn de::Expected) -> Error {
    let Some(text) = text else {
        return de::Error::custom(format_args!("expected {expected}, not NULL"));
    };
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    de::Error::custom(format_args!("expected {expected}, not `{shown}{more}`"))
}

/// Reads what PostgreSQL takes for a boolean: words in any case, cut short where that leaves no doubt.
fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| word.starts_with(&text));
    match text.as_str() {
        "" | "o" => None,
        "1" => Some(true),
        "0" => Some(false),
        _ if begins(&["true", "yes", "on"]) => Some(true),
        _ if begins(&["false", "no", "off"]) => Some(false),
        _ => None,
    }
}

/// Reads `\x` and two digits a byte.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits =
        text.strip_prefix("\\x").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2).map(|place| u8::from_str_radix(&digits[place..place + 2], 16));
    pairs.collect::<Result<_, _>>().ok()
}

macro_rules! read_by {
    ($read:expr; $($method:ident $visit:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.as_deref().and_then($read) {
                Some(value) => visitor.$visit(value),
                None => Err(self.unexpected(&visitor)),
            }
        })+
    };
}

macro_rules! as_text {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit_text(visitor)
        })+
    };
}

impl<'de> Deserializer<'de> for Column<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_none() { visitor.visit_unit() } else { self.visit_text(visitor) }
    }

    read_by! { boolean; deserialize_bool visit_bool, }
    read_by! { |text| text.parse().ok();
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32,
        deserialize_i64 visit_i64, deserialize_i128 visit_i128,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32,
        deserialize_u64 visit_u64, deserialize_u128 visit_u128,
        deserialize_f32 visit_f32, deserialize_f64 visit_f64,
        deserialize_char visit_char,
    }
    read_by! { bytes; deserialize_bytes visit_byte_buf, deserialize_byte_buf visit_byte_buf, }
    as_text! { deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_none() { visitor.visit_unit() } else { Err(self.unexpected(&visitor)) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Some(text) => visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(text)),
            None => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(bytes) = self.0.as_deref().and_then(bytes) {
            return SeqDeserializer::new(bytes.into_iter()).deserialize_seq(visitor);
        }
        let Some(elements) = self.0.as_deref().and_then(array::elements) else {
            return self.json(&visitor)?.deserialize_seq(visitor).map_err(of_json);
        };
        let mut sequence = SeqDeserializer::new(elements.into_iter().map(Column::owned));
        let value = visitor.visit_seq(&mut sequence)?;
        sequence.end().map(|()| value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.json(&visitor)?.deserialize_map(visitor).map_err(of_json)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.json(&visitor)?.deserialize_struct(name, fields, visitor).map_err(of_json)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

impl<'de> IntoDeserializer<'de, Error> for Column<'de> {
    type Deserializer = Column<'de>;

    fn into_deserializer(self) -> Column<'de> {
        self
    }
}

fn of_json(error: serde_json::Error) -> Error {
    de::Error::custom(error)
}

#[cfg(test)]
mod tests;
