//! Text from elsewhere, made fit for a terminal.

use std::borrow::Cow;

/// Returns a text on one line and without what a terminal would take as a command, or what would make it look like
/// another text: control characters and those that are invisible or turn the direction of writing are written as
/// backslash and code, a backslash as two.
///
/// ```
/// assert_eq!(dbscript::plain("a\u{1b}[1m \\ \u{202e}b"), r"a\u{1b}[1m \\ \u{202e}b");
/// ```
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match is_escaped(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

fn is_escaped(c: char) -> bool {
    c == '\\' || c.is_control() || is_invisible(c)
}

/// Tells whether a character has no width, or says in which direction others are written.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays() {
        for text in ["", "mailer", "注文の行列", "a\u{301} | 'quoted' \"é\"", "\u{2065}\u{206a}\u{2010}"]
        {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_is_not_is_written_out() {
        let check = |text: &str, expected: &str| assert_eq!(plain(text), expected);
        check("one\ntwo\t\r", r"one\ntwo\t\r");
        check("\u{1b}]0;title\u{7}\u{9b}", r"\u{1b}]0;title\u{7}\u{9b}");
        check(r"a\n", r"a\\n");
        check("x\u{202e}y\u{2066}z\u{200b}\u{200f}\u{feff}", r"x\u{202e}y\u{2066}z\u{200b}\u{200f}\u{feff}");
    }
}
