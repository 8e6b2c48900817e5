//! Which known name a person may have meant.

/// Names that differ in more letters are not thought to be meant.
const MAX_DISTANCE: usize = 3;

/// Returns the known name that is spelled most like another one, unless none is like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, nearest) = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    // Of a short name, one letter may be all that is alike.
    (distance <= MAX_DISTANCE && 2 * distance <= name.chars().count()).then_some(nearest)
}
