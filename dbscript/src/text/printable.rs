//! Untrusted text, escaped for terminals and log lines.

use std::borrow::Cow;

/// Escapes a text for a terminal. The result is one line without terminal commands and without characters that
/// disguise the text.
///
/// Control characters, line separators, invisible characters and direction marks become a backslash and a code; a
/// backslash becomes two. `\x` with two hexadecimal digits is kept: it stands for a byte of a name that is not valid
/// UTF-8, as in the JSON and metrics output.
///
/// ```
/// assert_eq!(dbscript::printable("a\u{1b}[1m \\ \u{202e}b"), r"a\u{1b}[1m \\ \u{202e}b");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |c, rest| c == '\t' || (c == '\\' && !is_byte(rest)) || is_unprintable(c))
}

/// Escapes a text for a log line, as [`printable`] does, but keeps backslashes and tabs. A text that [`printable`]
/// has escaped is therefore not escaped twice.
///
/// ```
/// assert_eq!(dbscript::one_line("a\n\u{1b}[2J\tC:\\dir"), "a\\n\\u{1b}[2J\tC:\\dir");
/// ```
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |c, _| is_unprintable(c))
}

/// Escapes terminal commands and invisible characters in a JSON document, which keeps its value.
///
/// ```
/// assert_eq!(dbscript::printable_json("[\"\u{9b}31m\u{202e}\"]"), r#"["\u009b31m\u202e"]"#);
/// ```
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Below the space, valid JSON contains only the white space between values.
    let is_escaped = |c: char| c >= ' ' && is_unprintable(c);
    if !json.contains(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_escaped(c) {
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Escapes the characters for which `is_escaped`, called with a character and the text after it, returns true.
fn escape(text: &str, is_escaped: fn(char, &str) -> bool) -> Cow<'_, str> {
    let is_one = |(at, c): (usize, char)| is_escaped(c, &text[at + c.len_utf8()..]);
    if !text.char_indices().any(is_one) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        if is_one((at, c)) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Returns true if the text after a backslash completes the escape of a byte.
fn is_byte(rest: &str) -> bool {
    let digits = rest.strip_prefix('x').and_then(|rest| rest.get(..2));
    digits.is_some_and(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

/// Returns true if a character ends a line, controls a terminal, or is invisible.
fn is_unprintable(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}') || is_invisible(c)
}

/// Returns true if a character has no width or sets the writing direction: the default-ignorable characters of Unicode,
/// and the annotation marks.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_kept() {
        for text in ["", "mailer", "注文の行列", "a\u{301} | 'quoted' \"é\"", "\u{2010}\u{ffa1}\u{10ffff}"]
        {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("one\ntwo\t\r", r"one\ntwo\t\r");
        check("\u{1b}]0;title\u{7}\u{9b}", r"\u{1b}]0;title\u{7}\u{9b}");
        check(r"a\n", r"a\\n");
        check(r"bad\xff\e9", r"bad\xff\\e9");
        check(r"\x\xf\xFF\xé", r"\\x\\xf\\xFF\\xé");
        check("x\u{202e}y\u{2066}z\u{200b}\u{200f}\u{feff}", r"x\u{202e}y\u{2066}z\u{200b}\u{200f}\u{feff}");
    }

    #[test]
    fn a_log_line_is_not_escaped_twice() {
        let texts = ["a\tb \\n", "x\u{85}\u{9b}31m\u{2028}\u{2029}\u{61c}\u{2060}\u{e0041}\u{fe0f}\r\n"];
        let lines = texts.map(|text| one_line(text).into_owned());
        assert_eq!(lines[0], texts[0]);
        let expected = r"x\u{85}\u{9b}31m\u{2028}\u{2029}\u{61c}\u{2060}\u{e0041}\u{fe0f}\r\n";
        assert_eq!(lines[1], expected);
        assert_eq!(one_line(&lines[1]), expected);
        assert_eq!(one_line(&printable("a\\\u{1b}\t")), r"a\\\u{1b}\t");
    }
}
