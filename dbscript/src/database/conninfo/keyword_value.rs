//! Connection strings of the form `key=value key=value`.

use super::keywords::is_blank;
use super::options::{Options, Origin};
use crate::error::Error;

/// Parses pairs as libpq does: white space may surround `=`, single quotes enclose a value with white space, and a
/// backslash escapes the next character inside and outside of quotes.
pub(super) fn parse(text: &str) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut rest = skip_blanks(text);
    while !rest.is_empty() {
        let (keyword, after) = rest.split_at(rest.find(|c| c == '=' || is_blank(c)).unwrap_or(rest.len()));
        let after = skip_blanks(after)
            .strip_prefix('=')
            .ok_or_else(|| syntax(&options, "missing `=` after", keyword))?;
        let (value, after) = value(skip_blanks(after))?;
        if !options.set(keyword, value, Origin::Text) {
            return Err(syntax(&options, "unknown keyword", keyword));
        }
        rest = skip_blanks(after);
    }
    Ok(options)
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// Parses a value, and returns the rest.
fn value(text: &str) -> Result<(String, &str), Error> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next()),
            '\'' if quoted => return Ok((value, chars.as_str())),
            c if !quoted && is_blank(c) => return Ok((value, chars.as_str())),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(Error::usage("invalid connection string: unterminated quoted value"));
    }
    Ok((value, ""))
}

/// Makes a syntax error with the word, which is hidden if it may be a part of an unquoted password.
fn syntax(options: &Options, what: &str, word: &str) -> Error {
    if options.has_secret() {
        return Error::usage(format!(
            "invalid connection string: {what} a word that is hidden because it may be a part of the password"
        ));
    }
    Error::usage(format!("invalid connection string: {what} `{}`", word.escape_debug()))
}
