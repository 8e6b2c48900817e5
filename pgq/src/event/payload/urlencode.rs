//! Fields as urlencoded text.

/// Encodes fields as `name=value&name=value`; a NULL is its bare name. The text is exactly that of Skytools'
/// `db_urlencode`, and of the triggers.
///
/// ```
/// let data = pgq::payload::urlencode([("a b", Some("ä/~")), ("empty", Some("")), ("null", None)]);
/// assert_eq!(data, "a+b=%c3%a4%2f%7e&empty=&null");
/// ```
pub fn urlencode<N, V>(fields: impl IntoIterator<Item = (N, Option<V>)>) -> String
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let mut text = String::new();
    for (number, (name, value)) in fields.into_iter().enumerate() {
        if number > 0 {
            text.push('&');
        }
        quote(name.as_ref(), &mut text);
        if let Some(value) = value {
            text.push('=');
            quote(value.as_ref(), &mut text);
        }
    }
    text
}

fn quote(plain: &str, text: &mut String) {
    for byte in plain.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            _ => {
                text.push('%');
                text.push(digit(byte >> 4));
                text.push(digit(byte & 15));
            }
        }
    }
}

fn digit(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
}
