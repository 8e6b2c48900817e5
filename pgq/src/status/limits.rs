//! From when on something is a problem.

use crate::admin::integrity::level::Level;
use std::str::FromStr;

use crate::error::Error;

/// From which value on something is a problem.
///
/// It is read from `WARNING,CRITICAL`, either of which may be left out, such as `60,300` or `,300`, or from `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// A warning from this on; infinity: never.
    pub warning: f64,
    /// Critical from this on; infinity: never.
    pub critical: f64,
}

impl Limit {
    const fn new(warning: f64, critical: f64) -> Limit {
        Limit { warning, critical }
    }

    /// Returns how bad a value is.
    pub fn level(&self, value: f64) -> Level {
        match value {
            _ if value >= self.critical => Level::Critical,
            _ if value >= self.warning => Level::Warning,
            _ => Level::Ok,
        }
    }

    /// Returns whether any value is a problem.
    pub(super) fn is_on(&self) -> bool {
        self.warning.is_finite() || self.critical.is_finite()
    }

    pub(super) fn perfdata(&self) -> String {
        let shown = |limit: f64| if limit.is_finite() { limit.to_string() } else { String::new() };
        format!("{};{}", shown(self.warning), shown(self.critical))
    }
}

impl FromStr for Limit {
    type Err = Error;

    /// Reads `WARNING,CRITICAL` or `off`.
    ///
    /// # Errors
    ///
    /// On anything else, and when the warning would come after the critical limit.
    fn from_str(text: &str) -> Result<Limit, Error> {
        if text == "off" {
            return Ok(Limit::new(f64::INFINITY, f64::INFINITY));
        }
        let number = |part: &str| match part.trim() {
            "" => Some(f64::INFINITY),
            part => part.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0),
        };
        let parts = text.split_once(',').map(|(warning, critical)| (number(warning), number(critical)));
        match parts {
            Some((Some(warning), Some(critical))) if warning <= critical || warning.is_infinite() => {
                Ok(Limit::new(warning, critical))
            }
            _ => Err(Error::usage(format!(
                "a limit is `WARNING,CRITICAL`, two numbers of which the second is not lower, or `off`, not `{text}`"
            ))),
        }
    }
}

/// From when on the state of queues is a problem.
///
/// Lags and signs of life count from the end of the queue's idle period on, up to which a queue without events is
/// not ticked. On a queue that is paused or has an external ticker, those of a consumer count only while it has events
/// to process; and its last tick does not count, but that it is paused is a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The age of a queue's last tick, in seconds. Defaults to 60 and 300. While this is off,
    /// that a queue is paused or was never ticked is no warning either.
    pub ticker_lag: Limit,
    /// How far a consumer is behind, in seconds. Defaults to 300 and 3600.
    pub consumer_lag: Limit,
    /// How long a consumer has done nothing, in seconds. Defaults to 300 and 3600.
    pub last_seen: Limit,
    /// How many events a consumer has to process. Defaults to 100,000 and 1,000,000.
    pub pending_events: Limit,
    /// How many events a consumer has given up. Defaults to 1 and 100.
    pub failed_events: Limit,
    /// For how long a rotation has been due, in seconds. Defaults to 3600 and 21,600.
    pub rotation_age: Limit,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            ticker_lag: Limit::new(60.0, 300.0),
            consumer_lag: Limit::new(300.0, 3600.0),
            last_seen: Limit::new(300.0, 3600.0),
            pending_events: Limit::new(100_000.0, 1_000_000.0),
            failed_events: Limit::new(1.0, 100.0),
            rotation_age: Limit::new(3600.0, 21_600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn limits_are_read() {
        let infinity = f64::INFINITY;
        for (text, warning, critical) in [
            ("60,300", 60.0, 300.0),
            ("0.5, 1e3", 0.5, 1000.0),
            (",7", infinity, 7.0),
            ("7,", 7.0, infinity),
            ("7,7", 7.0, 7.0),
            ("off", infinity, infinity),
        ] {
            assert_eq!(text.parse::<Limit>().expect(text), Limit::new(warning, critical));
        }
        for text in ["", "60", "300,60", "-1,5", "a,b", "1,2,3", "nan,1", "1,inf", "OFF"] {
            let error = text.parse::<Limit>().expect_err(text);
            assert!(
                error.kind() == ErrorKind::Usage && error.to_string().ends_with(&format!("not `{text}`")),
                "{error}"
            );
        }
    }
}
