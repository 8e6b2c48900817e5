//! The text of a log line: `2007-10-19 20:59:59,968 7634 DEBUG Attaching`.

use std::fmt::Arguments;

use chrono::{DateTime, Local};
use fern::FormatCallback;
use log::{Level, Record};

pub(super) fn text(out: FormatCallback<'_>, message: &Arguments<'_>, record: &Record<'_>) {
    let now = Local::now();
    out.finish(format_args!("{}", line(now, std::process::id(), record.level(), message)));
}

fn line(now: DateTime<Local>, pid: u32, level: Level, message: &Arguments<'_>) -> String {
    let level = match level {
        Level::Warn => "WARNING",
        other => other.as_str(),
    };
    format!("{} {pid} {level} {message}", now.format("%Y-%m-%d %H:%M:%S,%3f"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_line_looks_as_it_always_did() {
        let time = Local.with_ymd_and_hms(2007, 10, 19, 20, 59, 59).single().expect("a time that is");
        let time = time + chrono::TimeDelta::milliseconds(968);
        let check = |level, expected: &str| {
            assert_eq!(line(time, 7634, level, &format_args!("Attaching")), expected);
        };
        check(Level::Debug, "2007-10-19 20:59:59,968 7634 DEBUG Attaching");
        check(Level::Warn, "2007-10-19 20:59:59,968 7634 WARNING Attaching");
    }
}
