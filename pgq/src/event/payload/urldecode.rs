//! Urlencoded text as fields.

use std::borrow::Cow;

use dbscript::DataError;

use super::Fields;
use crate::error::Error;

/// Decodes `name=value&name=value`; a bare name is a NULL, and of fields with one name the last counts. Names and
/// values that are not quoted are borrowed from the text. Reads every text as Skytools' `db_urldecode` does.
///
/// # Errors
///
/// When `%` is not followed by two hexadecimal digits, and when the bytes are not UTF-8
/// ([`ErrorKind::Payload`](crate::ErrorKind::Payload)).
pub fn urldecode(text: &str) -> Result<Fields<'_>, Error> {
    let mut fields = Fields::default();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix('&') {
            rest = next;
            continue;
        }
        let (name, behind) = split(rest);
        let name = unquote(name).map_err(|flaw| failed(name, "…", &flaw))?;
        let Some(value) = behind.strip_prefix('=') else {
            fields.put(name, None);
            rest = behind;
            continue;
        };
        // A value ends at a `=`, too, and what follows it is a field without a name: so does Skytools.
        let (value, behind) = split(value);
        let value = unquote(value).map_err(|flaw| failed(&name, &name, &flaw))?;
        fields.put(name, Some(value));
        rest = behind;
    }
    Ok(fields)
}

/// Makes an error about a field; `shown` stands for its name in logs.
fn failed(name: &str, shown: &str, flaw: &DataError) -> Error {
    let for_log = format!("field `{shown}`: {}", flaw.for_log());
    Error::payload("cannot decode the fields")
        .caused_by(DataError::new(format!("field `{name}`: {flaw}"), for_log))
}

/// Splits before the next mark.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(['=', '&']).unwrap_or(text.len()))
}

fn unquote(quoted: &str) -> Result<Cow<'_, str>, DataError> {
    if !quoted.contains(['%', '+']) {
        return Ok(Cow::Borrowed(quoted));
    }
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.bytes();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => escaped(bytes.next(), bytes.next()).ok_or_else(|| not_hexadecimal(quoted))?,
            other => other,
        });
    }
    let plain = String::from_utf8(plain)
        .map_err(|_| DataError::new(format!("`{quoted}` is not UTF-8"), "it is not UTF-8"))?;
    Ok(Cow::Owned(plain))
}

fn not_hexadecimal(quoted: &str) -> DataError {
    let flaw = "a `%` without two hexadecimal digits";
    DataError::new(format!("{flaw} in `{quoted}`"), flaw)
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high?)? << 4 | digit(low?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn check(text: &str, expected: &[(&str, Option<&str>)]) {
        let fields = urldecode(text).expect(text);
        assert_eq!(fields.iter().collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn fields_are_decoded_in_order() {
        check("", &[]);
        check("&", &[]);
        check("id=1&n&e=", &[("id", Some("1")), ("n", None), ("e", Some(""))]);
        check("a+b=c%2bd%C3%a9", &[("a b", Some("c+dé"))]);
        check("a=1&b=2&a=3", &[("a", Some("3")), ("b", Some("2"))]);
        check("a=1&a", &[("a", None)]);
        check("A=1&a=2", &[("A", Some("1")), ("a", Some("2"))]);
        check("=", &[("", Some(""))]);
        check("a=b=c&d", &[("a", Some("b")), ("", Some("c")), ("d", None)]);
    }

    #[test]
    fn printable_text_is_borrowed() {
        let text = "id=1&name=a+b";
        let fields = urldecode(text).expect("valid");
        let id = fields.get("id").flatten().expect("there");
        assert!(text.as_bytes().as_ptr_range().contains(&id.as_ptr()));
        let name = fields.get("name").flatten().expect("there");
        assert!(!text.as_bytes().as_ptr_range().contains(&name.as_ptr()));
    }

    fn check_error(text: &str, expected: &str) {
        let error = urldecode(text).expect_err(text);
        assert!(error.kind() == ErrorKind::Payload);
        assert_eq!(dbscript::describe_in_full(&error), format!("cannot decode the fields: {expected}"));
    }

    #[test]
    fn errors_name_the_field() {
        check_error("a=1&b=x%4", "field `b`: a `%` without two hexadecimal digits in `x%4`");
        check_error("a=1&b=%é", "field `b`: a `%` without two hexadecimal digits in `%é`");
        check_error("a%zz=1", "field `a%zz`: a `%` without two hexadecimal digits in `a%zz`");
        check_error("a=%ff", "field `a`: `%ff` is not UTF-8");
        let error = urldecode("a=1&b=secret%4").expect_err("cut off");
        let expected = "cannot decode the fields: field `b`: a `%` without two hexadecimal digits";
        assert_eq!(dbscript::describe(&error), expected);
    }
}
