//! Quoting names for shell commands that messages advise.

use std::borrow::Cow;

/// Quotes a name so that a POSIX shell reads it as one word. A name without special characters stays as it is.
pub(crate) fn quote(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("'{}'", name.replace('\'', "'\\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word() {
        for (name, expected) in
            [("q_1.x", "q_1.x"), ("", "''"), ("a b", "'a b'"), ("o'dd;", "'o'\\''dd;'"), ("$x", "'$x'")]
        {
            assert_eq!(quote(name), expected);
        }
    }
}
