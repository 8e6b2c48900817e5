//! Arrays of one dimension, as PostgreSQL writes them.

use std::iter::Peekable;
use std::str::Chars;

/// Returns the elements of `{1,NULL,"a b"}`, or `None` when the text is no such array.
pub(super) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let inner = without_bounds(text).strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut characters = inner.chars().peekable();
    let mut elements = vec![element(&mut characters)?];
    while let Some(separator) = characters.next() {
        if separator != ',' {
            return None;
        }
        elements.push(element(&mut characters)?);
    }
    Some(elements)
}

/// An array whose first element does not have the number 1 begins with its bounds: `[0:1]={a,b}`.
fn without_bounds(text: &str) -> &str {
    match text.split_once("]=") {
        Some((bounds, array)) if bounds.starts_with('[') && !bounds.contains(['"', '{']) => array,
        _ => text,
    }
}

fn element(characters: &mut Peekable<Chars<'_>>) -> Option<Option<String>> {
    if characters.next_if_eq(&'"').is_some() {
        return quoted(characters).map(Some);
    }
    let mut plain = String::new();
    while let Some(character) = characters.next_if(|character| *character != ',') {
        match character {
            '{' | '}' | '"' => return None,
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
    match plain.as_str() {
        "" => None,
        "NULL" => Some(None),
        _ => Some(Some(plain)),
    }
}

fn quoted(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[Option<&str>]>) {
        let elements = elements(text);
        let elements =
            elements.as_ref().map(|elements| elements.iter().map(Option::as_deref).collect::<Vec<_>>());
        assert_eq!(elements.as_deref(), expected, "{text}");
    }

    #[test]
    fn arrays_are_taken_apart() {
        check("{}", Some(&[]));
        check("{1,-2,NULL}", Some(&[Some("1"), Some("-2"), None]));
        check(
            r#"{"a b","NULL","","q\"\\",é}"#,
            Some(&[Some("a b"), Some("NULL"), Some(""), Some("q\"\\"), Some("é")]),
        );
        check("[2:3]={1,2}", Some(&[Some("1"), Some("2")]));
        for wrong in
            ["", "{", "1", "{1", "{1,}", "{,}", "{{1},{2}}", "{\"a}", "{\"a\"b}", "{\"a\\\"}", "[1,2]"]
        {
            check(wrong, None);
        }
    }
}
