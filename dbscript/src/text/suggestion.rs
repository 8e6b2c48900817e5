//! Suggestions for misspelled names.

/// The largest edit distance between a name and its suggestion.
const MAX_DISTANCE: usize = 3;

/// Returns the candidate that is spelled most like `name`: at an edit distance of 3 at most, and of half the length
/// of `name` at most. Returns `None` if no candidate is that close.
pub fn suggest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate| (strsim::damerau_levenshtein(name, candidate), candidate);
    let (distance, suggestion) = candidates.map(distance).min()?;
    // A short name would otherwise match a candidate that shares one letter with it.
    (distance <= MAX_DISTANCE && 2 * distance <= name.chars().count()).then_some(suggestion)
}
