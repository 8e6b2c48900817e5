//! String literals as Python writes them.

/// Reads one literal from the start of `text`, and returns the rest. Returns `None` if no literal begins there.
///
/// # Errors
///
/// A message that names the error and does not show the literal.
pub(super) fn read(text: &str) -> Result<Option<(String, &str)>, String> {
    let prefix = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (prefix, rest) = text.split_at(prefix);
    let Some(quote) = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| rest.starts_with(quote)) else {
        return Ok(None);
    };
    let raw = match prefix.to_ascii_lowercase().as_str() {
        "" | "u" => false,
        "r" => true,
        _ => return Err(format!("a string with `{prefix}` before it is not supported")),
    };
    body(&rest[quote.len()..], quote, raw).map(Some)
}

fn body<'a>(text: &'a str, quote: &str, raw: bool) -> Result<(String, &'a str), String> {
    let mut result = String::new();
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(quote) {
            return Ok((result, after));
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => return Err("a string is not closed".to_owned()),
            Some('\n') if quote.len() == 1 => return Err("a string is not closed".to_owned()),
            Some('\\') if raw => {
                result.push('\\');
                result.extend(chars.next());
            }
            Some('\\') => {
                let (escaped, after) = escape(chars.as_str())?;
                result.push_str(&escaped);
                rest = after;
                continue;
            }
            Some(c) => result.push(c),
        }
        rest = chars.as_str();
    }
}

/// Reads the escape after a backslash, and returns the rest.
fn escape(text: &str) -> Result<(String, &str), String> {
    let mut chars = text.chars();
    let Some(kind) = chars.next() else {
        return Err("a string is not closed".to_owned());
    };
    let rest = chars.as_str();
    let plain = match kind {
        '\n' => return Ok((String::new(), rest)),
        '\\' | '\'' | '"' => kind,
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return code(rest, 2, 16),
        'u' => return code(rest, 4, 16),
        'U' => return code(rest, 8, 16),
        '0'..='7' => {
            let digits = text.bytes().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
            return code(text, digits, 8);
        }
        'N' => return Err("`\\N` in a string is not supported".to_owned()),
        // Any other character keeps its backslash.
        other => return Ok((format!("\\{other}"), rest)),
    };
    Ok((plain.to_string(), rest))
}

fn code(text: &str, length: usize, base: u32) -> Result<(String, &str), String> {
    let broken = || "an escape in a string is no character".to_owned();
    let digits = text.get(..length).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, base).ok());
    let character = code.and_then(char::from_u32).ok_or_else(broken)?;
    Ok((character.to_string(), &text[length..]))
}
