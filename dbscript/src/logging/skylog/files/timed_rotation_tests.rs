//! Times and names, compared with Python, and rotated files.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::*;
use crate::logging::files::log_file::{LogFile, OpenMode};
use crate::logging::python::python;

/// Central Europe, as a POSIX time zone that needs no time zone database.
const ZONE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// For each time of a file's last write, prints the time of the rotation and the new name.
const ROLL: &str = r#"
import logging.handlers, os, sys, tempfile, time
when, interval, utc = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "utc"
folder = tempfile.mkdtemp()
path = os.path.join(folder, "x.log")
for text in sys.argv[4:]:
    begin = int(text)
    open(path, "w").close()
    os.utime(path, (begin, begin))
    handler = logging.handlers.TimedRotatingFileHandler(path, when, interval, utc=utc)
    end = handler.rolloverAt
    time.time = lambda: float(end)
    handler.doRollover()
    handler.close()
    (name,) = [name for name in os.listdir(folder) if name != "x.log"]
    print(end, name)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
os.rmdir(folder)
"#;

fn rotation(when: &str, interval: u16, zone: &TimeZone) -> TimedRotation {
    TimedRotation::new(Interval::new(when, interval).expect("an interval"), 0, zone.clone())
}

/// Returns a line in the format of [`ROLL`].
fn roll(rotation: &mut TimedRotation, begin: i64) -> String {
    let zone = rotation.zone.clone();
    rotation.next = rotation.interval.end(Timestamp::from_second(begin).expect("in range"), &zone);
    let name = rotation.dated(Path::new("x.log"), rotation.next);
    format!("{} {}", rotation.next.as_second(), name.display())
}

fn check(when: &str, interval: u16, utc: bool, begins: &[i64]) {
    let texts: Vec<String> = begins.iter().map(i64::to_string).collect();
    let interval_text = interval.to_string();
    let mut arguments = vec![when, interval_text.as_str(), if utc { "utc" } else { "local" }];
    arguments.extend(texts.iter().map(String::as_str));
    let expected = python(ROLL, &arguments, ZONE);
    let zone = if utc { TimeZone::UTC } else { TimeZone::posix(ZONE).expect("a time zone") };
    let mut rotation = rotation(when, interval, &zone);
    for (begin, expected) in begins.iter().zip(expected.lines()) {
        assert_eq!(roll(&mut rotation, *begin), expected, "{when} {interval} utc={utc} {begin}");
    }
    assert_eq!(expected.lines().count(), begins.len());
}

/// Times of a year that begins on a Friday, some of them at full hours and midnights, and all days of a week.
fn times() -> Vec<i64> {
    const BEGIN: i64 = 1_704_409_200;
    (0..120).map(|n| BEGIN + n * 262_800 + n % 7 * 1234).chain((0..8).map(|day| BEGIN + day * DAY)).collect()
}

const DAY: i64 = 86_400;

/// Removes the days around a change of daylight saving time, which Python 3.11 handles only after its first midnight.
/// Another test checks these days.
fn without_changes(times: Vec<i64>) -> Vec<i64> {
    let zone = TimeZone::posix(ZONE).expect("a time zone");
    let offset = |second| zone.to_offset(Timestamp::from_second(second).expect("in range"));
    times.into_iter().filter(|time| offset(time - DAY) == offset(time + 2 * DAY)).collect()
}

#[test]
fn intervals_end_when_python_ends_them() {
    for (when, interval) in
        [("S", 1), ("s", 30), ("M", 1), ("m", 15), ("H", 1), ("h", 6), ("D", 1), ("d", 10)]
    {
        check(when, interval, false, &times());
        check(when, interval, true, &times());
    }
}

#[test]
fn days_and_weeks_end_when_python_ends_them() {
    check("midnight", 1, true, &times());
    check("midnight", 1, false, &without_changes(times()));
    // With local time, Python 3.11 takes a file written on the day of a clock change for a file of the week before.
    for when in ["W0", "w1", "W2", "W3", "W4", "W5", "W6"] {
        check(when, 1, true, &times());
    }
}

#[test]
fn midnight_is_midnight_where_the_clock_changes() {
    let zone = TimeZone::posix(ZONE).expect("a time zone");
    let second = |text: &str| text.parse::<Timestamp>().expect(text).as_second();
    let check = |when, begin, end, name| {
        let mut rotation = rotation(when, 1, &zone);
        assert_eq!(roll(&mut rotation, second(begin)), format!("{} x.log.{name}", second(end)), "{begin}");
    };
    check("midnight", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", "2024-03-31");
    check("midnight", "2024-03-31T12:00:00Z", "2024-03-31T22:00:00Z", "2024-03-31");
    check("midnight", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z", "2024-10-27");
    check("W6", "2024-03-27T12:00:00Z", "2024-03-31T22:00:00Z", "2024-03-25");
    check("W6", "2024-03-31T12:00:00Z", "2024-03-31T22:00:00Z", "2024-03-25");
    check("W6", "2024-10-24T12:00:00Z", "2024-10-27T23:00:00Z", "2024-10-21");
}

#[test]
fn an_invalid_interval_is_refused() {
    for (when, count) in [("", 1), ("X", 1), ("W7", 1), ("W", 1), ("W00", 1), ("day", 1), ("S", 0)] {
        assert!(Interval::new(when, count).is_err(), "{when}");
    }
    let longest = Interval::new("W0", u16::MAX).expect("an interval");
    assert!(longest.end(Timestamp::UNIX_EPOCH, &TimeZone::UTC) > Timestamp::UNIX_EPOCH);
    assert_eq!(longest.end(Timestamp::MAX, &TimeZone::UTC), Timestamp::MAX);
}

#[test]
fn an_old_file_is_rotated_and_the_oldest_are_removed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.log");
    for name in ["x.log", "x.log.2001-01-02", "x.log.2001-01-01.gz", "x.log.2001-01-03"] {
        fs::write(folder.path().join(name), "old\n").expect("writable");
    }
    for other in ["x.log.1", "x.log.2001", "x.log.2001-01-01_00", "y.log.2001-01-01", "x.log.2001-01-01.g-z"]
    {
        fs::write(folder.path().join(other), "another's\n").expect("writable");
    }
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_192_827_599);
    File::options().append(true).open(&path).and_then(|f| f.set_modified(modified)).expect("writable");

    let interval = Interval::new("midnight", 1).expect("an interval");
    let rotation = Box::new(TimedRotation::new(interval, 2, TimeZone::UTC));
    let mut file = LogFile::new(&path, OpenMode::Append, rotation).expect("writable");
    for line in ["one\n", "two\n"] {
        file.write_line(line.as_bytes()).expect("writable");
    }
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = [
        "x.log",
        "x.log.1",
        "x.log.2001",
        "x.log.2001-01-01.g-z",
        "x.log.2001-01-01_00",
        "x.log.2001-01-03",
        "x.log.2007-10-19",
        "y.log.2001-01-01",
    ];
    assert_eq!(names, expected);
    assert_eq!(fs::read_to_string(&path).expect("readable"), "one\ntwo\n");
    assert_eq!(fs::read_to_string(folder.path().join("x.log.2007-10-19")).expect("readable"), "old\n");
}

#[test]
fn an_old_file_is_never_overwritten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.log");
    let old = folder.path().join("x.log.2007-10-19");
    for path in [&path, &old] {
        fs::write(path, "old\n").expect("writable");
    }
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_192_827_599);
    File::options().append(true).open(&path).and_then(|f| f.set_modified(modified)).expect("writable");
    let interval = Interval::new("midnight", 1).expect("an interval");
    let rotation = Box::new(TimedRotation::new(interval, 2, TimeZone::UTC));
    let mut file = LogFile::new(&path, OpenMode::Append, rotation).expect("writable");
    for line in ["one\n", "two\n"] {
        file.write_line(line.as_bytes()).expect("writable");
    }
    assert_eq!(fs::read_to_string(&old).expect("readable"), "old\n");
    assert_eq!(fs::read_to_string(&path).expect("readable"), "old\none\ntwo\n");
}
