//! SIGHUP: the file is read again, and only a good one counts.

use std::fs;

use nix::sys::signal::Signal;

use super::{Place, write};
use crate::support::programs::Running;
use crate::support::wait_for;

/// Starts a job that writes `one` again and again.
fn start(place: &Place) -> Running {
    place.write(&format!("{}loop_delay = 0.01\n", write("one")));
    let job = Running::start(&mut place.command());
    place.wait_seen("one");
    job
}

/// Requests a reload, waits until `text` is in the log for the `times`-th time, and then for another round.
fn reload(place: &Place, job: &Running, text: &str, times: usize) {
    job.signal(Signal::SIGHUP);
    wait_for(text, || place.log().matches(text).count() == times);
    let rounds = place.seen().len();
    wait_for("another round", || place.seen().len() > rounds + 1);
}

#[test]
fn the_new_statement_is_run() {
    let place = Place::create();
    let mut job = start(&place);
    place.write(&format!("{}loop_delay = 0.01\n", write("two")));
    reload(&place, &job, "Config reloaded", 1);
    place.wait_seen("two");
    // A setting that was removed has its default again.
    place.write(&format!("loop_delay = 0\n{}", write("three")));
    job.signal(Signal::SIGHUP);
    assert_eq!(job.wait(), Some(0));
    assert_eq!(place.seen().last().map(String::as_str), Some("three"));
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let place = Place::create();
    let mut job = start(&place);
    let two = write("two");
    let broken = [
        (format!("junk\n{two}"), "line 4: section [run_sql]: neither `key = value` nor a [section]"),
        (format!("{two}{two}"), "line 5: section [run_sql]: key `sql` is already set in line 4"),
        (
            format!("{two}loop_delay = soon\n"),
            "invalid value `soon` of key loop_delay (section [run_sql] of `job.ini`)",
        ),
        (format!("{two}pidfile = %(nope)s\n"), "key pidfile: `%(nope)s` is not set"),
        ("[other]\n".to_owned() + &two, "config value not set: sql"),
    ];
    for (text, expected) in broken {
        place.write(&text);
        reload(&place, &job, expected, 1);
    }
    fs::write(place.path("job.ini"), b"[run_sql]\nsql = \xff").expect("writable");
    reload(&place, &job, "line 2: not UTF-8", 1);
    fs::remove_file(place.path("job.ini")).expect("there");
    reload(&place, &job, "cannot read config file `job.ini`", 1);

    assert_eq!(place.log().matches("ERROR Config not reloaded, keeping the old one: ").count(), 7);
    assert!(place.seen().iter().all(|seen| seen == "one"));
    assert!(job.is_running());
    place.write(&format!("{two}loop_delay = 0.01\n"));
    reload(&place, &job, "Config reloaded", 1);
    place.wait_seen("two");
}

#[test]
fn an_unknown_key_is_reported_once() {
    let place = Place::create();
    let text = format!("{}loop_delay = 0.01\nlop_delay = 1\n[other]\nodd = 1\n", write("%(odd_text)s"));
    place.write(&format!("odd_text = one\n{text}"));
    let job = Running::start(&mut place.command());
    place.wait_seen("one");
    let warning = "WARNING unknown key `lop_delay`; did you mean `loop_delay`?";
    assert_eq!(place.log().matches("WARNING").count(), 1, "{}", place.log());
    assert!(place.log().contains(warning), "{}", place.log());
    for times in 1..4 {
        reload(&place, &job, "Config reloaded", times);
    }
    place.write(&format!("odd_text = two\nlogfil = x\n{text}"));
    reload(&place, &job, "Config reloaded", 4);
    assert_eq!(place.log().matches("WARNING").count(), 2, "{}", place.log());
    assert!(place.log().contains("WARNING unknown key `logfil`; did you mean `logfile`?"));
}
