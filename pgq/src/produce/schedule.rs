//! Cron patterns in time zones.

use std::fmt;

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronPattern, Weekday};
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::error::Error;

/// The time zone of a schedule that sets none.
const UTC: &str = "UTC";
/// Files beside those of the zones, which say what the zone of one machine is.
const NO_ZONES: [&str; 2] = ["localtime", "posixrules"];
/// A nickname of `@daily` that the parser lacks.
const MIDNIGHT: &str = "@midnight";
/// The days of a week, from Sunday.
const WEEKDAYS: [Weekday; 7] = [
    Weekday::Sunday,
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
];

/// The times of a [recurring event](crate::schedule_event): a cron pattern in a time zone. Defaults to UTC.
///
/// A pattern has five fields: minute (0 to 59), hour (0 to 23), day of the month (1 to 31), month (1 to 12 or `JAN` to
/// `DEC`) and day of the week (0 to 7 or `SUN` to `SAT`; 0 and 7 are Sunday). A field is `*`, a number, a range `1-5`, a list `1,15`
/// or a step `*/10` or `0-30/10`. With both days restricted, either is sufficient, as in other crons; `+` before the day of the
/// week requires both. `L` is the last day of the month, `15W` the working day nearest to the 15th, `5#2` the second
/// Friday. The nicknames are `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`.
///
/// When the clocks change:
///
/// - A single time of the day, such as `30 2 * * *`, that the day lacks is replaced by the first moment after the gap (3:00). If
///   the day has it twice, the first one counts.
/// - Times of any other pattern, such as `*/30 * * * *`, are left out if the day lacks them, and come twice if the day has them
///   twice.
///
/// ```
/// use pgq::Schedule;
///
/// # fn main() -> Result<(), pgq::Error> {
/// let working_days = Schedule::new("30 6 * * MON-FRI")?.in_zone("Europe/Berlin")?;
/// let friday = "2026-11-27T12:00:00Z".parse().expect("a time");
/// let monday = working_days.next_after(friday).expect("always one more");
/// assert_eq!(monday.to_rfc3339(), "2026-11-30T05:30:00+00:00");
///
/// let error = Schedule::new("0 30 6 * * *").expect_err("six fields");
/// assert_eq!(error.kind(), pgq::ErrorKind::Usage);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Schedule {
    cron: String,
    zone_name: String,
    pattern: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a cron pattern with five fields, or a nickname such as `@daily`. Its times are in UTC.
    ///
    /// # Errors
    ///
    /// When the pattern is invalid or never has a time, such as February 30
    /// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    pub fn new(cron: &str) -> Result<Schedule, Error> {
        let cron = cron.split_whitespace().collect::<Vec<_>>().join(" ");
        let invalid = |why: &str| Error::usage(format!("invalid cron pattern `{cron}`: {why}"));
        require_five_fields(&cron).map_err(|why| invalid(&why))?;
        let known = if cron.eq_ignore_ascii_case(MIDNIGHT) { "@daily" } else { &cron };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(known).map_err(|error| invalid(&reason(&error)))?;
        if !has_time(&pattern.pattern) {
            return Err(invalid("no date matches it"));
        }
        Ok(Schedule { cron, zone_name: UTC.to_owned(), pattern, zone: TimeZone::UTC })
    }

    /// Sets the time zone, by its IANA name such as `Europe/Berlin`. The rules of the zones are those of the machine, or where it
    /// has none, those that are compiled into the program.
    ///
    /// # Errors
    ///
    /// When there is no zone of that name ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    pub fn in_zone(mut self, zone: &str) -> Result<Schedule, Error> {
        let unknown =
            || Error::usage(format!("unknown time zone `{zone}`; use a name such as `Europe/Berlin`"));
        if NO_ZONES.iter().any(|name| name.eq_ignore_ascii_case(zone)) {
            return Err(unknown());
        }
        self.zone = TimeZone::get(zone).map_err(|error| unknown().caused_by(error))?;
        // As the list of zones writes it.
        self.zone_name = self.zone.iana_name().unwrap_or(zone).to_owned();
        Ok(self)
    }

    /// Returns the pattern as it was given, with single spaces.
    pub fn cron(&self) -> &str {
        &self.cron
    }

    /// Returns the name of the time zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// Returns the first time after a moment; `None` beyond the year 4999.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let moment = Timestamp::from_microsecond(moment.timestamp_micros()).ok()?;
        let next = self.pattern.find_next_occurrence(&moment.to_zoned(self.zone.clone()), false).ok()?;
        DateTime::from_timestamp_micros(next.timestamp().as_microsecond())
    }
}

/// Shows the pattern and the zone.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.cron, self.zone_name)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("cron", &self.cron)
            .field("zone", &self.zone_name)
            .finish_non_exhaustive()
    }
}

/// Says in which way a pattern has not five fields, since the parser only says that it must have them.
fn require_five_fields(cron: &str) -> Result<(), String> {
    let nicknames = ["@hourly", "@daily", MIDNIGHT, "@weekly", "@monthly", "@yearly", "@annually"];
    if cron.starts_with('@') {
        return match nicknames.iter().any(|name| name.eq_ignore_ascii_case(cron)) {
            true => Ok(()),
            false => Err(format!("the nicknames are {}", nicknames.join(", "))),
        };
    }
    let fields = "minute, hour, day of the month, month, day of the week";
    match cron.split_whitespace().count() {
        // The parser accepts a list without an element, and then searches for minutes.
        5 if has_empty_element(cron) => Err("an element of a list is empty".to_owned()),
        5 => Ok(()),
        6 | 7 => Err(format!("it must have five fields ({fields}); seconds and years are not supported")),
        count => Err(format!("it must have five fields ({fields}), and has {count}")),
    }
}

fn has_empty_element(cron: &str) -> bool {
    cron.split_whitespace().flat_map(|field| field.trim_start_matches('+').split(',')).any(str::is_empty)
}

/// Returns whether the pattern has a time. The search for one would take a tenth of a second to find none, or minutes if a
/// field has no value; any role that may schedule could delay the ticker by that.
fn has_time(pattern: &CronPattern) -> bool {
    // Weekdays and leap years repeat after 28 years.
    let days = date(2000, 1, 1).series(1.day()).take_while(|day| day.year() < 2028);
    let has_date = days.into_iter().any(|day| {
        let (month, of_month) = (day.month().unsigned_abs().into(), day.day().unsigned_abs().into());
        let weekday = WEEKDAYS[usize::from(day.weekday().to_sunday_zero_offset().unsigned_abs())];
        pattern.month_match(month).unwrap_or(false)
            && pattern.day_match(day.year().into(), month, of_month, weekday).unwrap_or(false)
    });
    has_date && !pattern.hours.values().is_empty() && !pattern.minutes.values().is_empty()
}

/// Returns the parser's reason in the style of other messages.
fn reason(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the times after a moment, as they are in the zone.
    #[track_caller]
    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = Schedule::new(cron).and_then(|new| new.in_zone(zone)).expect("valid");
        let mut moment = after.parse::<DateTime<Utc>>().expect("a time");
        for expected in expected {
            moment = schedule.next_after(moment).expect("a time");
            let local =
                Timestamp::from_second(moment.timestamp()).expect("a time").to_zoned(schedule.zone.clone());
            assert_eq!(local.strftime("%m-%d %H:%M%:z").to_string(), *expected, "{schedule}");
        }
    }

    #[track_caller]
    fn refused(cron: &str, expected: &str) {
        let error = Schedule::new(cron).expect_err(cron);
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        assert!(error.to_string().ends_with(expected), "{error}");
    }

    #[test]
    fn times_of_patterns() {
        check("*/30 * * * *", "UTC", "2026-01-01T00:00:00.5Z", &["01-01 00:30+00:00", "01-01 01:00+00:00"]);
        check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["02-29 00:00+00:00"]);
        check("0 0 13 * 5", "utc", "2026-01-01T00:00:00Z", &["01-02 00:00+00:00"]);
        check("0 0 13 * +5", "UTC", "2026-01-01T00:00:00Z", &["02-13 00:00+00:00"]);
        check("  0 \t 0 L feb sun-sat ", "UTC", "2026-01-01T00:00:00Z", &["02-01 00:00+00:00"]);
        check("@Midnight", "Asia/Kolkata", "2026-01-01T00:00:00Z", &["01-02 00:00+05:30"]);
        check("@weekly", "UTC", "2026-01-01T00:00:00Z", &["01-04 00:00+00:00"]);
        check("@annually", "UTC", "2026-01-01T00:00:00Z", &["01-01 00:00+00:00"]);
    }

    #[test]
    fn to_summer_time() {
        let zone = "Europe/Berlin";
        let gap = ["03-28 02:30+01:00", "03-29 03:00+02:00", "03-30 02:30+02:00"];
        check("30 2 * * *", zone, "2026-03-28T00:00:00Z", &gap);
        let left_out = ["03-29 01:30+01:00", "03-29 03:00+02:00", "03-29 03:30+02:00"];
        check("*/30 * * * *", zone, "2026-03-29T00:00:00Z", &left_out);
        check(
            "0 0 * * *",
            "America/Sao_Paulo",
            "2018-11-04T02:00:00Z",
            &["11-04 01:00-02:00", "11-05 00:00-02:00"],
        );
    }

    #[test]
    fn from_summer_time() {
        let zone = "Europe/Berlin";
        let once = ["10-24 02:30+02:00", "10-25 02:30+02:00", "10-26 02:30+01:00"];
        check("30 2 * * *", zone, "2026-10-24T00:00:00Z", &once);
        // The clock shows 2:10 for the second time.
        check("30 2 * * *", zone, "2026-10-25T01:10:00Z", &once[2..]);
        let twice = ["10-25 02:30+02:00", "10-25 02:00+01:00", "10-25 02:30+01:00", "10-25 03:00+01:00"];
        check("*/30 * * * *", zone, "2026-10-25T00:00:00Z", &twice);
    }

    #[test]
    fn wrong_patterns_and_zones_are_refused() {
        refused(
            "0 0 6 * * *",
            "`0 0 6 * * *`: it must have five fields (minute, hour, day of the month, month, day of the week); seconds and years are not supported",
        );
        refused("0 6 * *", "day of the week), and has 4");
        refused("", "and has 0");
        refused(
            "@reboot",
            "the nicknames are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
        );
        refused("60 * * * *", "`60 * * * *`: component error: Number out of bounds");
        refused("a * * * *", "contains illegal character 'A' in part 'A'");
        // Fields without a value, with which the search for a time would take minutes.
        for cron in [", * * * *", "* , * * *", "1,,2 * * * *", "* * * * +", "0 0 * * 1,"] {
            refused(cron, "an element of a list is empty");
        }
        for cron in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * * * L"] {
            refused(cron, "no date matches it");
        }
        for cron in ["0 0 29 2 +MON", "0 0 * 2 +5#5", "0 0 LW * *", "0 0 31W 12 *"] {
            Schedule::new(cron).expect(cron);
        }
        for zone in ["Europe/Nowhere", "", "localtime", "posixrules", "+02:00", "../etc/passwd"] {
            let error = Schedule::new("@daily").expect("valid").in_zone(zone).expect_err(zone);
            assert!(error.to_string().starts_with(&format!("unknown time zone `{zone}`")), "{error}");
        }
        assert_eq!(Schedule::new(" 0  0\n* * *").expect("valid").cron(), "0 0 * * *");
        let zone = Schedule::new(" @daily ").and_then(|new| new.in_zone("europe/berlin")).expect("valid");
        assert_eq!(zone.to_string(), "`@daily` in Europe/Berlin");
    }
}
