//! Measured values.

use std::time::Duration;

use maud::{Markup, html};

use crate::watch::format;

/// A value of a queue or a consumer; `None` if it is not known.
pub(super) enum Value {
    Duration(Option<Duration>),
    Count(Option<i64>),
    PerSecond(Option<f64>),
}

impl Value {
    /// Makes the value of a number that is never negative.
    pub(super) fn count(number: Option<u64>) -> Value {
        Value::Count(number.map(u64::cast_signed))
    }

    /// Returns the value by which rows are sorted.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Value::Duration(duration) => duration.map(|duration| duration.as_secs_f64()),
            Value::Count(count) => count.map(|count| count as f64),
            Value::PerSecond(rate) => *rate,
        }
    }

    /// Shows the value in few characters, or a dash. The title is the exact value.
    pub(super) fn show(&self) -> Markup {
        let Some(number) = self.number() else { return html! { "-" } };
        let (short, exact) = match self {
            Value::Duration(duration) => {
                (format::duration(duration.unwrap_or_default()), format!("{number:.1} seconds"))
            }
            Value::Count(count) => (format::count(count.unwrap_or_default()), number.to_string()),
            Value::PerSecond(_) => (format::rate(number), format!("{number:.3} per second")),
        };
        html! { span title=(exact) { (short) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_their_titles_exact() {
        for (value, expected) in [
            (Value::Duration(Some(Duration::from_secs(90))), "<span title=\"90.0 seconds\">1m30s</span>"),
            (Value::count(Some(1_250_000)), "<span title=\"1250000\">1.2M</span>"),
            (Value::Count(Some(-7)), "<span title=\"-7\">-7</span>"),
            (Value::PerSecond(Some(0.25)), "<span title=\"0.250 per second\">0.2</span>"),
            (Value::Duration(None), "-"),
        ] {
            assert_eq!(value.show().into_string(), expected);
        }
    }
}
