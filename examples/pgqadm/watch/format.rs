//! Compact formats of durations, numbers and names.

use std::time::Duration;

use ratatui::text::Span;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Formats a duration in its two largest units, such as `0.3s`, `3m07s` or `2d04h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, small, large, letters) = match seconds {
        0..10 => return format!("{:.1}s", duration.as_secs_f64()),
        10..MINUTE => return format!("{seconds}s"),
        MINUTE..HOUR => (1, MINUTE, MINUTE, ('m', 's')),
        HOUR..DAY => (MINUTE, HOUR, HOUR, ('h', 'm')),
        _ => (HOUR, DAY, DAY, ('d', 'h')),
    };
    let (whole, rest) = (seconds / large, seconds % small / unit);
    format!("{whole}{}{rest:02}{}", letters.0, letters.1)
}

/// Formats a setting as [`duration`] does, without units that are zero, and below a second in milliseconds.
pub(crate) fn setting(setting: Duration) -> String {
    if !setting.is_zero() && setting < Duration::from_secs(1) {
        return format!("{}ms", setting.as_micros().div_ceil(1_000));
    }
    let text = duration(setting);
    for (ending, kept) in [(".0s", "s"), ("m00s", "m"), ("h00m", "h"), ("d00h", "d")] {
        if let Some(start) = text.strip_suffix(ending) {
            return format!("{start}{kept}");
        }
    }
    text
}

/// Formats a whole number. From a million on, the number has a unit: M, G or T.
pub(crate) fn count(number: i64) -> String {
    let size = number.unsigned_abs() as f64;
    let unit = [(1e12, "T"), (1e9, "G"), (1e6, "M")].into_iter().find(|(unit, _)| size >= *unit);
    unit.map_or_else(|| number.to_string(), |(unit, letter)| format!("{:.1}{letter}", number as f64 / unit))
}

/// Formats a rate of events per second.
pub(crate) fn rate(rate: f64) -> String {
    if rate > 0.0 && rate < 9.95 { format!("{rate:.1}") } else { count(rate.round() as i64) }
}

/// Cuts a text to the width `room`. A text that is cut ends in an ellipsis.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while width(&kept) + 1 > room && kept.pop().is_some() {}
    if room > 0 {
        kept.push('…');
    }
    kept
}

/// Returns the width of a text in columns of the screen.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        let check = |text: &str, room: usize, expected: &str| {
            assert_eq!(cut(text, room), expected, "{text} in {room}");
        };
        check("mailer", 6, "mailer");
        check("mailer", 5, "mail…");
        check("mailer", 1, "…");
        check("mailer", 0, "");
        check("注文の", 6, "注文の");
        check("注文の", 5, "注文…");
        check("注文の", 4, "注…");
    }

    #[test]
    fn durations_have_two_units() {
        let check = |seconds: f64, expected: &str| {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), expected, "{seconds}");
        };
        check(0.0, "0.0s");
        check(0.26, "0.3s");
        check(12.9, "12s");
        check(59.99, "59s");
        check(60.0, "1m00s");
        check(187.0, "3m07s");
        check(3600.0, "1h00m");
        check(86399.0, "23h59m");
        check(187_200.0, "2d04h");
        assert_eq!(duration(Duration::MAX), "213503982334601d07h");
    }

    #[test]
    fn settings_omit_units_that_are_zero() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(setting(Duration::from_secs(seconds)), expected, "{seconds}");
        };
        assert_eq!(setting(Duration::from_micros(1)), "1ms");
        assert_eq!(setting(Duration::from_millis(5)), "5ms");
        check(0, "0s");
        check(3, "3s");
        check(30, "30s");
        check(60, "1m");
        check(90, "1m30s");
        check(7200, "2h");
        check(86400, "1d");
    }

    #[test]
    fn numbers_stay_short() {
        let check = |number: i64, expected: &str| assert_eq!(count(number), expected);
        check(0, "0");
        check(-7, "-7");
        check(999_999, "999999");
        check(1_250_000, "1.2M");
        check(i64::MAX, "9223372.0T");
        let check = |number: f64, expected: &str| assert_eq!(rate(number), expected);
        check(0.0, "0");
        check(0.25, "0.2");
        check(9.96, "10");
        check(1234.4, "1234");
    }
}
