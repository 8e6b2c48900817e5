//! Phrases of messages: numbers with their nouns, and lists.

/// Returns a number with its noun, in the plural except for 1.
pub(crate) fn count_of(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Joins parts with commas, and the last one with `and`.
pub(crate) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}
