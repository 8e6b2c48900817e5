//! Timestamps as PostgreSQL writes them, for types that read ISO 8601 alone.

use std::any::type_name;

/// Returns whether a type, by its name, is one of `chrono`'s, which need a `T` between date and time. Other types get
/// the text unchanged (DESIGN.md, D41).
pub(super) fn is_wanted_by<T>() -> bool {
    type_name::<T>().starts_with("chrono::")
}

/// Rewrites `2024-01-01 10:00:00+00` as `2024-01-01T10:00:00+00:00`; returns nothing for other texts.
pub(super) fn of_timestamp(text: &str) -> Option<String> {
    let (date, time) = text.split_once(' ')?;
    let year = date.split('-').next().filter(|_| is_like(date, 2, '-'))?;
    let sign = if year.len() > 4 { "+" } else { "" };
    let (clock, offset) = time.split_at(time.find(['+', '-']).unwrap_or(time.len()));
    let seconds = clock.split_once('.').map_or(clock, |(seconds, _)| seconds);
    let minutes = if offset.len() == 3 { ":00" } else { "" };
    is_like(seconds, 2, ':').then(|| format!("{sign}{date}T{clock}{offset}{minutes}"))
}

/// Returns whether a text is digits with so many separators between.
fn is_like(text: &str, separators: usize, separator: char) -> bool {
    let is_number = |part: &str| part.len() > 1 && part.bytes().all(|digit| digit.is_ascii_digit());
    text.matches(separator).count() == separators && text.split(separator).all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_become_iso_and_other_texts_stay() {
        for (text, iso) in [
            ("2024-01-01 10:00:00+00", Some("2024-01-01T10:00:00+00:00")),
            ("2024-01-01 10:00:00.123456-03:30", Some("2024-01-01T10:00:00.123456-03:30")),
            ("2024-01-01 10:00:00", Some("2024-01-01T10:00:00")),
            ("10000-01-01 10:00:00", Some("+10000-01-01T10:00:00")),
            ("2024-01-01T10:00:00+00:00", None),
            ("2024-01-01", None),
            ("10:00:00", None),
            ("0044-03-15 10:00:00 BC", None),
            ("infinity", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(of_timestamp(text).as_deref(), iso, "{text}");
        }
    }
}
