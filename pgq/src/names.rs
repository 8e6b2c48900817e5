//! Reading names whose bytes need not be valid text.
//!
//! Names are read as bytes, by [`bytes!`], and converted to text by [`Name`]: in a database with encoding `SQL_ASCII`, and of roles
//! and databases in any other, they may be any bytes (DESIGN.md, D72).

use std::fmt::Write;

use postgres::types::{FromSql, Type};

use dbscript::BoxError;

/// Makes the SQL that returns a text as bytes: in UTF-8 if the bytes are valid text.
///
/// `convert_to` fails for bytes that are invalid in the database's encoding, and `textsend` for those that are invalid
/// in the client's.
macro_rules! bytes {
    ($text:literal) => {
        concat!(
            "case when pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'UTF8'::pg_catalog.name then pg_catalog.textsend(",
            $text,
            ") when pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII'::pg_catalog.name then pg_catalog.convert_to(",
            $text,
            ", 'SQL_ASCII'::pg_catalog.name) else pg_catalog.convert_to(",
            $text,
            ", 'UTF8'::pg_catalog.name) end"
        )
    };
}
pub(crate) use bytes;

/// Makes the SQL that returns a text as [`bytes!`] does, written as two hexadecimal digits each.
macro_rules! hex {
    ($text:literal) => {
        concat!("pg_catalog.encode(", $crate::names::bytes!($text), ", 'hex'::pg_catalog.text)")
    };
}
pub(crate) use hex;

/// Makes the SQL that takes a text as bytes, as [`bytes!`] returns it.
macro_rules! from_bytes {
    ($bytes:literal) => {
        concat!(
            "pg_catalog.convert_from(",
            $bytes,
            ", case when pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII'::pg_catalog.name \
                 then 'SQL_ASCII'::pg_catalog.name else 'UTF8'::pg_catalog.name end)"
        )
    };
}
pub(crate) use from_bytes;

/// A name that was read as bytes.
pub(crate) struct Name(pub(crate) String);

impl<'a> FromSql<'a> for Name {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Name, BoxError> {
        Ok(Name(to_text(raw)))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::BYTEA, Type::TEXT, Type::NAME].contains(kind)
    }
}

/// Converts names to strings.
pub(crate) fn into_strings(names: Vec<Name>) -> Vec<String> {
    names.into_iter().map(|name| name.0).collect()
}

/// Returns bytes as text. Shows each invalid byte as `\x` and two hexadecimal digits.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Returns bytes, written as two hexadecimal digits each, as [`to_text`] does.
pub(crate) fn hex_to_text(digits: &str) -> String {
    let digits = digits.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    to_text(&digits.chunks(2).filter_map(byte).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_one_by_one() {
        for (bytes, expected) in [
            (b"mailer".as_slice(), "mailer"),
            ("日本".as_bytes(), "日本"),
            (b"bad\xff", r"bad\xff"),
            (b"\xe6\x97 \xc3", r"\xe6\x97 \xc3"),
            (b"", ""),
        ] {
            assert_eq!(to_text(bytes), expected);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex_to_text(&hex), expected);
        }
    }
}
