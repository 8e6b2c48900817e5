//! Text that a terminal shows as it is.

use std::borrow::Cow;

/// Returns a text on one line and without what a terminal would take as a command or hide: control characters,
/// those without a width and those that turn the direction are written as backslash and code, a backslash as two.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_special) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| if is_special(c) { c.escape_default().to_string() } else { c.into() });
    Cow::Owned(escaped.collect())
}

fn is_special(c: char) -> bool {
    c == '\\'
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_out() {
        let check = |text: &str, expected: &str| assert_eq!(plain(text), expected);
        check("q\r\u{1b}[2Kx", "q\\r\\u{1b}[2Kx");
        check("a\u{200b}b\u{202e}c\u{2066}d\u{feff}", "a\\u{200b}b\\u{202e}c\\u{2066}d\\u{feff}");
        check("back\\slash", "back\\\\slash");
        assert!(matches!(plain("ünïcødé 日本"), Cow::Borrowed(_)));
    }
}
