//! Formats, compared with Python.

use std::time::Instant;

use chrono::{Local, TimeZone};
use log::Level;

use super::*;
use crate::logging::python::python;
use crate::text::printable::one_line;

/// Renders a record of a fixed time with every format of the arguments, each followed by its date format.
const RENDER: &str = r#"
import logging, sys
record = logging.LogRecord("pgq::consumer", 30, "/src/pgq/consumer.rs", 42, sys.argv[1], None, None)
record.created, record.msecs, record.process = 1192827599.96875, 968.0, int(sys.argv[2])
record.levelname = "WARNING"
record.job_name, record.service_name = "mover", "queue_mover"
record.hostname, record.hostaddr = "db1", "10.0.0.1"
for fmt, datefmt in zip(sys.argv[3::2], sys.argv[4::2]):
    sys.stdout.write(logging.Formatter(fmt, datefmt).format(record) + "\0")
"#;

/// A message with characters that Python writes unchanged and [`one_line`] escapes.
const MESSAGE: &str = "two\nlines\u{1b}[2J, \u{fc}\u{1F40D} 100% %(name)s";

fn identity() -> Identity {
    let text = str::to_owned;
    Identity {
        job_name: text("mover"),
        service_name: text("queue_mover"),
        hostname: text("db1"),
        hostaddr: text("10.0.0.1"),
    }
}

fn render(format: &str, date: &str) -> String {
    let created = Local.timestamp_opt(1_192_827_599, 968_750_000).single().expect("a valid time");
    let entry = Entry { created, level: Level::Warn, name: "pgq::consumer", message: MESSAGE };
    let identity = identity();
    let origin = Origin {
        identity: &identity,
        file: Some("/src/pgq/consumer.rs"),
        line: Some(42),
        started: Instant::now(),
    };
    Format::parse(format, date)
        .unwrap_or_else(|error| panic!("{format}: {error}"))
        .render(&entry, &origin, one_line)
}

/// Compares with Python in this process's own time zone.
fn check_all(formats: &[(&str, &str)]) {
    let pid = std::process::id().to_string();
    let message = one_line(MESSAGE);
    let mut arguments = vec![&*message, pid.as_str()];
    arguments.extend(formats.iter().flat_map(|(format, date)| [*format, *date]));
    let zone = std::env::var("TZ").unwrap_or_else(|_| ":/etc/localtime".to_owned());
    let expected = python(RENDER, &arguments, &zone);
    let expected: Vec<&str> = expected.split_terminator('\0').collect();
    assert_eq!(expected.len(), formats.len());
    for ((format, date), expected) in formats.iter().zip(expected) {
        assert_eq!(render(format, date), expected, "{format} / {date}");
    }
}

#[test]
fn fields_are_rendered_as_python_renders_them() {
    let formats = [
        DEFAULT_FORMAT,
        "%(asctime)s %(process)s %(levelname)s %(message)s %(name)s %(job_name)s %(service_name)s",
        "%(hostname)s %(hostaddr)s %(levelno)s %(created)f %(msecs)03d %(created)s %(msecs)s %(created)d",
        "%(levelname)-8s|%(levelname)8s|%(levelname).3s|%(levelname)10.4s|%(levelname)08s|%(message).4s|",
        "%(levelno)5d|%(levelno)-5d|%(levelno)05d|%(levelno)+d|% (name)s"
            .split_once("|% (")
            .expect("there")
            .0,
        "%(levelno)+05d|%(levelno) d|%(levelno).4d|%(levelno)8.4d|%(levelno)-05d|%(levelno)+-6d|%(levelno)i|",
        "%(levelno)f|%(created).2f|%(created)015.1f|%(msecs)8.3f|%(msecs)-9.1f|%(msecs)+f|%(created).0f|",
        "%(pathname)s %(filename)s %(module)s %(lineno)d %(lineno)s",
        "%(asctime)30s|%(asctime)-30s|%(asctime).10s",
        "100%% %(message)s %%(name)s",
        "",
    ];
    check_all(&formats.map(|format| (format, "")));
}

#[test]
fn dates_are_rendered_as_python_renders_them() {
    let dates = [
        "%H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%d/%b/%Y:%H:%M:%S %z",
        "%a %A %b %B %h %d %e %j %y %C %G %g %u %w %U %W %V",
        "%I:%M:%S %p %k %l %P %r %R %T %D %F %c %x %X %s %n%t%%",
        "%Z",
        "no conversion",
        "\u{fc} %S",
    ];
    check_all(&dates.map(|date| ("%(asctime)s", date)));
}

#[test]
fn an_invalid_format_is_reported() {
    let check = |format: &str, expected: &str| {
        let error = Format::parse(format, "").expect_err(format);
        assert!(error.contains(expected), "{format}: {error}");
    };
    check("%(nope)s", "`%(nope)` is no field");
    check("%(message)d", "`%(message)` is no number");
    check("%(asctime)d", "`%(asctime)` is no number");
    check("%(message)r", "one of `s`, `d`, `f`, not `r`");
    check("%(message)", "cut off");
    check("%(levelno)99999d", "too wide");
    check("%(message", "must be followed by");
    check("100%", "must be followed by");
    check("%s", "must be followed by");
}

#[test]
fn the_default_line_has_the_format_of_skytools() {
    let line = render(DEFAULT_FORMAT, "");
    let expected = format!(",968 {} WARNING {}", std::process::id(), one_line(MESSAGE));
    assert!(line.starts_with("2007-10-") && line.ends_with(&expected), "{line}");
    assert_eq!(Format::default(), Format::parse(DEFAULT_FORMAT, "").expect("a format"));
}
