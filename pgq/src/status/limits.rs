//! The limits above which a value is a problem.

use crate::admin::integrity::level::Level;
use std::str::FromStr;

use crate::error::Error;

/// The limits of one value.
///
/// Parsed from `WARNING,CRITICAL`, such as `60,300`, or from `off`. Either number may be left out, as in `,300`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// The least value that is a warning; infinity for none.
    pub warning: f64,
    /// The least value that is critical; infinity for none.
    pub critical: f64,
}

impl Limit {
    const fn new(warning: f64, critical: f64) -> Limit {
        Limit { warning, critical }
    }

    /// Returns the severity of a value.
    pub fn level(&self, value: f64) -> Level {
        match value {
            _ if value >= self.critical => Level::Critical,
            _ if value >= self.warning => Level::Warning,
            _ => Level::Ok,
        }
    }

    /// Returns whether some value is a problem.
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

    /// Parses `WARNING,CRITICAL` or `off`.
    ///
    /// # Errors
    ///
    /// On any other text, and when the warning limit is above the critical one.
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
                "invalid limit `{text}`: it must be `WARNING,CRITICAL`, two numbers of which the second is not lower, or `off`"
            ))),
        }
    }
}

/// The limits of a queue's and its consumers' values.
///
/// - Lags and times since the last activity are reduced by the queue's idle period, since a queue without events gets no
///   tick before.
/// - On a queue that is paused or has an external ticker, a consumer's lag and last activity are checked only while it has
///   pending events, and the age of the last tick is not checked. A paused queue is a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The age of a queue's last tick, in seconds. `off` also disables the warnings about paused queues and queues
    /// without a tick. Defaults to 60 and 300.
    pub ticker_lag: Limit,
    /// A consumer's lag, in seconds. Defaults to 300 and 3600.
    pub consumer_lag: Limit,
    /// The time since a consumer's last activity, in seconds. Defaults to 300 and 3600.
    pub last_seen: Limit,
    /// The number of a consumer's pending events. Defaults to 100,000 and 1,000,000.
    pub pending_events: Limit,
    /// The number of a consumer's failed events. Defaults to 1 and 100.
    pub failed_events: Limit,
    /// The time since a rotation became due, in seconds. Defaults to 3600 and 21,600.
    pub rotation_age: Limit,
    /// The age of the oldest snapshot, in seconds. Defaults to 3600 and 21,600.
    pub snapshot_age: Limit,
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
            snapshot_age: Limit::new(3600.0, 21_600.0),
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
                error.kind() == ErrorKind::Usage
                    && error.to_string().starts_with(&format!("invalid limit `{text}`:")),
                "{error}"
            );
        }
    }
}
