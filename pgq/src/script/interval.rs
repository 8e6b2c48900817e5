//! Times as configuration files have them: seconds, or as PostgreSQL writes intervals.

use std::time::Duration;

/// Reads seconds, `HH:MM:SS`, or numbers with units such as `1 hour 30 min`; `None`: it is neither.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    if text.contains(':') {
        return clock(text);
    }
    if text.is_empty() { None } else { units(text) }
}

fn clock(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let parts: Vec<&str> = text.split(':').collect();
    for (part, worth) in parts.iter().zip([3600.0, 60.0, 1.0]) {
        let number: f64 = part.parse().ok().filter(|number: &f64| *number >= 0.0)?;
        seconds += number * worth;
    }
    (2..=3).contains(&parts.len()).then_some(())?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn units(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        seconds += number.parse::<f64>().ok()? * worth(unit)?;
        rest = behind.trim_start();
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// Returns the seconds of a unit, by the names that PostgreSQL accepts.
fn worth(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: Option<f64>) {
        assert_eq!(parse(text), seconds.map(Duration::from_secs_f64), "{text}");
    }

    #[test]
    fn times_are_read_as_files_have_them() {
        check("2.5", Some(2.5));
        check("1 hour", Some(3600.0));
        check("1 hour 30min", Some(5400.0));
        check("500 ms", Some(0.5));
        check("00:01:30", Some(90.0));
        check("01:30", Some(5400.0));
        check("2 Days", Some(172_800.0));
        for text in ["", "hour", "1 fortnight", "-1", "1:2:3:4", "-1:00", "5 6", "nan"] {
            check(text, None);
        }
    }
}
