//! The syntax of INI files, as Python's `ConfigParser` reads them.
//!
//! The crate `configparser` reads the file. If Python reads a line differently and the crate has no setting for this, a
//! [`Rewriter`] first changes the line into a form that both read alike:
//!
//! - Lines also end with a lone carriage return, and U+001C to U+001F are white space.
//! - An indented line continues the value above it even when it begins with `[`, and indentation is counted in
//!   characters.
//! - A section's name reaches to the last `]` and keeps its blanks. A line that begins with `[` and contains no name is
//!   a key.
//! - A duplicate section or key, a key without value, and text before the first section are errors.

use std::collections::BTreeMap;

use configparser::ini::Ini;

/// A mark that prevents the crate from misreading the start of a line. No value can contain this character, since
/// neither PostgreSQL nor the operating system accepts it.
const MARK: char = '\0';

/// Sections by name, and in each the values by key, in lower case, before `%(name)s` is replaced.
pub(crate) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a file's text.
///
/// # Errors
///
/// A message that names the line, and the section or key.
pub(crate) fn read(text: &str) -> Result<Sections, String> {
    let mut syntax = Ini::new_cs().defaults();
    syntax.comment_symbols = vec!['#', ';'];
    syntax.enable_inline_comments = false;
    syntax.multiline = true;
    let parsed = Ini::new_from_defaults(syntax).read(rewrite(text)?)?;
    let clean = |text: String| text.replace(MARK, "");
    let values = |keys: std::collections::HashMap<String, Option<String>>| {
        keys.into_iter().map(|(key, value)| (clean(key), clean(value.unwrap_or_default()))).collect()
    };
    Ok(parsed.into_iter().map(|(section, keys)| (clean(section), values(keys))).collect())
}

/// Returns the text with every line in a form that the crate reads as Python reads the original line.
fn rewrite(text: &str) -> Result<String, String> {
    let mut rewriter = Rewriter::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    for (at, line) in text.split('\n').enumerate() {
        rewriter.number = at + 1;
        rewriter.line(line).map_err(|what| format!("line {}: {what}", rewriter.number))?;
    }
    Ok(rewriter.text)
}

#[derive(Default)]
struct Rewriter {
    text: String,
    /// The line's number, from 1.
    number: usize,
    /// The section of the line.
    section: Option<String>,
    /// The indentation of the key or header that the line may continue.
    indent: usize,
    in_value: bool,
    /// The lines of sections and keys. The line of a section is stored under the key "".
    seen: BTreeMap<(String, String), usize>,
}

impl Rewriter {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.contains(MARK) {
            return Err("a NUL character".to_owned());
        }
        let content = strip(line);
        if content.starts_with(['#', ';']) {
            return Ok(());
        }
        if content.is_empty() {
            self.text.push('\n');
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if self.in_value && indent > self.indent {
            self.text.push_str(&format!(" {MARK}{content}\n"));
            return Ok(());
        }
        self.indent = indent;
        match header(content) {
            Some(name) => self.header(name),
            None => self.option(content),
        }
    }

    fn header(&mut self, name: &str) -> Result<(), String> {
        // Python accepts several sections DEFAULT.
        if name != "DEFAULT"
            && let Some(line) = self.seen.insert((name.to_owned(), String::new()), self.number)
        {
            return Err(format!("section [{name}] is already in line {line}"));
        }
        self.text.push_str(&format!("[{MARK}{name}{MARK}]\n"));
        self.section = Some(name.to_owned());
        self.in_value = false;
        Ok(())
    }

    /// Rewrites a line that sets a key. Errors do not show the line, which may be a part of a secret.
    fn option(&mut self, content: &str) -> Result<(), String> {
        let Some(section) = &self.section else {
            return Err("text before the first [section]".to_owned());
        };
        let Some((key, value)) = content.split_once(['=', ':']) else {
            return Err(format!("section [{section}]: neither `key = value` nor a [section]"));
        };
        let (key, value) = (strip(key).to_lowercase(), strip(value));
        if key.is_empty() {
            return Err(format!("section [{section}]: a value without a key"));
        }
        if let Some(line) = self.seen.insert((section.clone(), key.clone()), self.number) {
            return Err(format!("section [{section}]: key `{key}` is already set in line {line}"));
        }
        self.text.push_str(&format!("{MARK}{key}={value}\n"));
        self.in_value = true;
        Ok(())
    }
}

/// Returns the name in a section's header.
fn header(content: &str) -> Option<&str> {
    let name = &content.strip_prefix('[')?[..content.rfind(']')? - 1];
    (!name.is_empty()).then_some(name)
}

/// Removes the characters that Python treats as white space from both ends.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let sections = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let mut found = Vec::new();
        for (section, keys) in &sections {
            found.extend(keys.iter().map(|(key, value)| (section.as_str(), key.as_str(), value.as_str())));
        }
        assert_eq!(found, expected, "{text:?}");
    }

    fn check_error(text: &str, expected: &str) {
        assert_eq!(read(text).expect_err(text), expected, "{text:?}");
    }

    #[test]
    fn keys_and_values_are_split_at_the_first_delimiter() {
        check("[s]\nA = b", &[("s", "a", "b")]);
        check("[s]\na:b=c\nd=e:f", &[("s", "a", "b=c"), ("s", "d", "e:f")]);
        check("[s]\n a b =\n", &[("s", "a b", "")]);
        check("\u{feff}[s]\r\na = b\r\nc = d\re = f", &[("s", "a", "b"), ("s", "c", "d"), ("s", "e", "f")]);
        check("[s]\na\x1f= \x1cb\x1e", &[("s", "a", "b")]);
    }

    #[test]
    fn indented_lines_continue_the_value_above() {
        check("[s]\na = b\n c\n\n\n  d\n\n", &[("s", "a", "b\nc\n\n\nd")]);
        check("[s]\na =\n  b\n", &[("s", "a", "\nb")]);
        check("[s]\na = b\n # no\n  ; no\n c = d\n", &[("s", "a", "b\nc = d")]);
        check("[s]\na = b\n [c]\n", &[("s", "a", "b\n[c]")]);
        check("[s]\n  a = b\n  c = d\n e = f\n", &[("s", "a", "b"), ("s", "c", "d"), ("s", "e", "f")]);
        // One character, three bytes.
        check("[s]\n\u{2003}a = b\n  c = d\n", &[("s", "a", "b\nc = d")]);
    }

    #[test]
    fn brackets_are_a_section_only_around_a_name() {
        check("[ s ] x\na = b\n[c]]\nd = e", &[(" s ", "a", "b"), ("c]", "d", "e")]);
        check("[s]\n[a = b\n[] = c\n", &[("s", "[]", "c"), ("s", "[a", "b")]);
        check("[a] = b]\nc = d\n", &[("a] = b", "c", "d")]);
    }

    #[test]
    fn comments_are_whole_lines() {
        check("# x\n; y\n[s]\na = b # c ; d\n  # e\n", &[("s", "a", "b # c ; d")]);
    }

    #[test]
    fn default_may_be_repeated() {
        check("[DEFAULT]\na = 1\n[s]\n[DEFAULT]\nb = 2", &[("DEFAULT", "a", "1"), ("DEFAULT", "b", "2")]);
    }

    #[test]
    fn errors_name_line_section_and_key() {
        check_error("\nx = 1\n[s]", "line 2: text before the first [section]");
        check_error("[s]\n\njunk\n", "line 3: section [s]: neither `key = value` nor a [section]");
        check_error("[s]\n= b", "line 2: section [s]: a value without a key");
        check_error("[s]\na = 1\n\nA: 2", "line 4: section [s]: key `a` is already set in line 2");
        check_error("[s]\n[t]\n[s]", "line 3: section [s] is already in line 1");
        check_error(
            "[DEFAULT]\na = 1\n[DEFAULT]\na = 2",
            "line 4: section [DEFAULT]: key `a` is already set in line 2",
        );
        check_error("[s]\na = \0", "line 2: a NUL character");
    }
}
