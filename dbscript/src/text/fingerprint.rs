//! Fingerprints of messages: the part that repeats when the same failure happens again.

/// The placeholder for a number or a quoted value.
const ANY: char = '#';
/// The length from which a word of hexadecimal digits counts as a number, such as a part of a UUID.
const HEXADECIMAL: usize = 8;

/// Returns the fingerprint of a message: the line with `#` in place of the values that differ from one occurrence to
/// the next, which are numbers, times, addresses, UUIDs, texts in single quotes, and texts in double quotes after a
/// colon. [`LogThrottle`](crate::LogThrottle) treats messages with the same fingerprint as one message.
///
/// Digits inside a name in backticks or double quotes are kept, since `event_1` and `event_2` are two tables.
///
/// ```
/// use dbscript::fingerprint;
///
/// assert_eq!(fingerprint("batch 17 of queue `q1` failed"), fingerprint("batch 18 of queue `q1` failed"));
/// assert_ne!(fingerprint("batch 17 of queue `q1` failed"), fingerprint("batch 17 of queue `q2` failed"));
/// ```
pub fn fingerprint(line: &str) -> String {
    let mut fingerprint = String::with_capacity(line.len());
    let mut name: Option<char> = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_uuid(rest).filter(|_| !fingerprint.ends_with(is_of_word)) {
            fingerprint.push(ANY);
            rest = after;
            continue;
        }
        if is_of_word(c) {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            match is_state(&fingerprint, word, rest) {
                true => fingerprint.push_str(word),
                false => push_word(&mut fingerprint, word, name.is_some()),
            }
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (c, name) {
            ('\'', _) if !fingerprint.ends_with(is_of_word) => {
                fingerprint.push(ANY);
                rest = rest.split_once('\'').map_or(rest, |(_, after)| after);
            }
            ('"', None) if fingerprint.ends_with(": ") => {
                fingerprint.push(ANY);
                rest = rest.split_once('"').map_or(rest, |(_, after)| after);
            }
            ('`' | '"', None) => name = Some(c),
            (quote, Some(open)) if quote == open => name = None,
            _ => {}
        }
        fingerprint.push(c);
    }
    fingerprint
}

/// Returns the rest of a text that begins with a UUID.
fn after_uuid(text: &str) -> Option<&str> {
    if text.as_bytes().get(8) != Some(&b'-') {
        return None;
    }
    let (uuid, after) = text.split_at_checked(36)?;
    let parts: Vec<&str> = uuid.split('-').collect();
    let is_hexadecimal = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let is_one = lengths == [8, 4, 4, 4, 12] && parts.iter().all(is_hexadecimal);
    (is_one && !after.starts_with(is_of_word)).then_some(after)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns true if a word is an SQLSTATE, as in `ERROR 42P01: …`.
fn is_state(before: &str, word: &str, after: &str) -> bool {
    let is_severity = |before: &str| before.ends_with(|c: char| c.is_alphabetic() && !c.is_lowercase());
    let is_of_state = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    word.len() == 5 && word.bytes().all(is_of_state) && after.starts_with(':') && {
        before.strip_suffix(' ').is_some_and(is_severity)
    }
}

/// Appends a word with [`ANY`] in place of a number and its suffix. In a name, only a leading number is replaced.
fn push_word(fingerprint: &mut String, word: &str, in_name: bool) {
    let has_digit = word.contains(|c: char| c.is_numeric());
    let is_number = word.starts_with(|c: char| c.is_numeric())
        || word.len() >= HEXADECIMAL && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !has_digit || (in_name && !is_number) {
        fingerprint.push_str(word);
    } else if is_number {
        fingerprint.push(ANY);
    } else {
        fingerprint.extend(word.chars().filter(|c| !c.is_numeric()));
        fingerprint.push(ANY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        assert_eq!(
            fingerprint(one) == fingerprint(other),
            same,
            "{} / {}",
            fingerprint(one),
            fingerprint(other)
        );
    }

    #[test]
    fn numbers_times_and_addresses_are_replaced() {
        check("row (62, 1, 2026-11-29 06:52:07.1+00)", "row (63, 1, 2027-01-02 16:02:59.123456+00)", true);
        check("pid 4711 at 10.0.0.7:5432 after 5s", "pid 12 at 10.0.0.18:60001 after 12s", true);
        check("lsn 0/16B3748 of 0x7ffe", "lsn 1A/0 of 0x12", true);
        check("id a1b2c3d4-0001", "id 00ffee11-0b12", true);
        check("event ev17: out of luck", "event ev1234: out of luck", true);
        check("value 'alice' is taken", "value 'bob' is taken", true);
        check("value \"5\" is taken", "value \"77\" is taken", true);
        check(
            "order 550e8400-e29b-41d4-a716-446655440000 is closed",
            "order abcdefab-cdef-abcd-efab-cdefabcdefab is closed",
            true,
        );
        check("not an integer: \"apple\" (queue `q`)", "not an integer: \"pear\" (queue `q`)", true);
    }

    #[test]
    fn names_and_words_are_kept() {
        check("relation \"event_1\" is gone", "relation \"event_2\" is gone", false);
        check("queue `q1`", "queue `q2`", false);
        check("cannot tick: ERROR 23514: check 1", "cannot tick: ERROR 23505: check 1", false);
        check("not an integer: \"apple\" (queue `q`)", "not an integer: \"apple\" (queue `r`)", false);
        check("relation \"apple\" is gone", "relation \"pear\" is gone", false);
        check("it can't be read", "it can't be written", false);
        check("", "1", false);
    }
}
