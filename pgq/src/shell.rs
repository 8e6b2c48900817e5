//! Names in commands that messages advise.

use std::borrow::Cow;

/// Returns a name as a shell takes it for one word.
pub(crate) fn word(name: &str) -> Cow<'_, str> {
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
            assert_eq!(word(name), expected);
        }
    }
}
