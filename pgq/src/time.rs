//! Times of the server, some of which are outside of the range of `DateTime`.

use chrono::{DateTime, Datelike, Duration, Utc};
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use serde::{Serialize, Serializer};

use dbscript::BoxError;

/// A time of the server. `infinity` and times beyond the range of `DateTime` are `DateTime::MAX_UTC`; `-infinity` and
/// times before the range are `DateTime::MIN_UTC`. So the order of times is preserved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

/// Seconds from 1970 to 2000, where the server begins to count microseconds.
const EPOCH: i64 = 946_684_800;

impl Time {
    fn of(microseconds: i64) -> Time {
        let beyond = if microseconds < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        if microseconds == i64::MAX || microseconds == i64::MIN {
            return Time(beyond);
        }
        let epoch = DateTime::from_timestamp(EPOCH, 0);
        let time = epoch.and_then(|epoch| epoch.checked_add_signed(Duration::microseconds(microseconds)));
        Time(time.unwrap_or(beyond))
    }
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Time, BoxError> {
        let bytes = <[u8; 8]>::try_from(raw).map_err(|_| "a time has eight bytes")?;
        Ok(Time::of(i64::from_be_bytes(bytes)))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ
    }
}

impl ToSql for Time {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        let beyond = [(DateTime::<Utc>::MAX_UTC, i64::MAX), (DateTime::<Utc>::MIN_UTC, i64::MIN)];
        match beyond.into_iter().find(|(time, _)| *time == self.0) {
            Some((_, microseconds)) => microseconds.to_sql(&Type::INT8, out),
            None => self.0.to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// Writes a time as the server reads it with any `DateStyle`, with microseconds. The ends of the range are infinite, as
/// with [`Time`].
pub(crate) fn to_text(time: DateTime<Utc>) -> String {
    if time == DateTime::<Utc>::MAX_UTC {
        return "infinity".to_owned();
    }
    if time == DateTime::<Utc>::MIN_UTC {
        return "-infinity".to_owned();
    }
    let (is_common, year) = time.year_ce();
    let era = if is_common { "" } else { " BC" };
    format!("{year:04}-{}{era}", time.format("%m-%d %H:%M:%S%.6f+00"))
}

/// Returns seconds as a duration: zero for a negative number, as after a clock was set back, and the maximum beyond the
/// range of `Duration`.
pub(crate) fn seconds(seconds: f64) -> std::time::Duration {
    if seconds.is_sign_negative() {
        return std::time::Duration::ZERO;
    }
    std::time::Duration::try_from_secs_f64(seconds).unwrap_or(std::time::Duration::MAX)
}

/// Writes a time in seconds, for `serde`.
pub(crate) fn in_seconds<S: Serializer>(time: &std::time::Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// As [`in_seconds`], for a time that may be unknown.
pub(crate) fn in_seconds_opt<S: Serializer>(
    time: &Option<std::time::Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_date_time_holds_are_the_last_and_the_first() {
        assert_eq!(Time::of(0).0.to_rfc3339(), "2000-01-01T00:00:00+00:00");
        assert_eq!(Time::of(-1_000_000).0.to_rfc3339(), "1999-12-31T23:59:59+00:00");
        for last in [i64::MAX, i64::MAX - 1] {
            assert_eq!(Time::of(last).0, DateTime::<Utc>::MAX_UTC);
        }
        for first in [i64::MIN, i64::MIN + 1] {
            assert_eq!(Time::of(first).0, DateTime::<Utc>::MIN_UTC);
        }
    }

    #[test]
    #[cfg(any(feature = "sqlx", feature = "diesel", feature = "diesel-async"))]
    fn times_as_text() {
        let check = |time: DateTime<Utc>, expected: &str| assert_eq!(to_text(time), expected);
        check(DateTime::UNIX_EPOCH, "1970-01-01 00:00:00.000000+00");
        check(DateTime::UNIX_EPOCH - Duration::microseconds(1), "1969-12-31 23:59:59.999999+00");
        check("+12345-06-07T08:09:10.5Z".parse().expect("a time"), "12345-06-07 08:09:10.500000+00");
        check("-0043-03-15T00:00:00Z".parse().expect("a time"), "0044-03-15 00:00:00.000000+00 BC");
        check(DateTime::<Utc>::MAX_UTC, "infinity");
        check(DateTime::<Utc>::MIN_UTC, "-infinity");
    }
}
