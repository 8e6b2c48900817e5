//! The keys of consumers: their meaning, and the values that are refused.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pgq::consume::Twin;
use pgq::{RetryPolicy, Settings};

use crate::support::programs::{command, errors};

fn settings(lines: &str) -> Settings {
    let text = format!("[greeter]\nqueue_name = q\n{lines}\n");
    let config = dbscript::Config::from_text(Path::new("greeter.ini"), &text, &["greeter"], &[]);
    pgq::script::settings(&config.expect("a file")).unwrap_or_else(|error| panic!("{lines}: {error}"))
}

#[test]
fn without_keys_all_is_as_documented() {
    let settings = settings("");
    assert_eq!(settings, Settings::new("q", "greeter"));
}

#[test]
fn times_are_seconds_or_intervals() {
    for (value, seconds) in [("1 minute", 60.0), ("2.5", 2.5), ("90", 90.0), ("1 hour 30 min", 5400.0)] {
        let lines = format!(
            "pgq_batch_collect_interval = {value}\npgq_keep_lag = {value}\nsubconsumer_timeout = {value}"
        );
        let settings = settings(&lines);
        let expected = Some(Duration::from_secs_f64(seconds));
        assert_eq!(settings.collect_interval, expected, "{value}");
        assert_eq!((settings.keep_lag, settings.subconsumer_timeout), (expected, expected), "{value}");
    }
    assert_eq!(settings("pgq_keep_lag =\npgq_batch_collect_events = 0").keep_lag, None);
}

#[test]
fn keys_become_settings() {
    let read = settings(
        "table_filter = users, shop.orders\npgq_autocommit = yes\npgq_twin = stop\nkeepalive_stats = 5\n\
         subconsumer_name = one\npgq_batch_collect_events = 7\npgq_listen = 0",
    );
    assert_eq!(read.table_filter, ["public.users", "shop.orders"]);
    assert!(read.autocommit && !read.listen);
    assert_eq!((read.twin, read.keepalive_stats), (Twin::Stop, Duration::from_secs(5)));
    assert_eq!((read.subconsumer.as_deref(), read.collect_events), (Some("one"), Some(7)));
}

#[test]
fn the_size_that_batches_grow_to_has_two_names() {
    assert_eq!(settings("pgq_merge_events = 7").merge_events, 7);
    assert_eq!(settings("pgq_batch_max_events = 8").merge_events, 8);
}

#[test]
fn a_delay_or_a_limit_makes_a_retry_policy() {
    let policy = |lines: &str| settings(lines).retry_policy;
    assert_eq!(policy("pgq_retry_factor = 3"), None);
    let exponential = RetryPolicy::exponential(Duration::from_secs(10)).jitter(0.1);
    assert_eq!(policy("pgq_retry_delay = 10"), Some(exponential));
    let fixed = RetryPolicy::fixed(Duration::from_secs(60)).cap(Duration::from_secs(3600)).max_retries(3);
    assert_eq!(policy("pgq_max_retries = 3\npgq_retry_factor = 1\npgq_retry_jitter = 0"), Some(fixed));
}

/// Values that mean nothing, by key.
const BAD: [(&str, &[&str]); 17] = [
    ("pgq_queue_name", &[""]),
    ("pgq_consumer_id", &[""]),
    ("pgq_lazy_fetch", &["-1", "many", "1.5"]),
    ("pgq_autocommit", &["2", "perhaps", ""]),
    ("pgq_batch_collect_events", &["-1", "x"]),
    ("pgq_batch_collect_interval", &["soon", "-1", "1 fortnight", "nan"]),
    ("pgq_keep_lag", &["soon", "-1 minute", "inf"]),
    ("pgq_merge_events", &["-5", "all"]),
    ("pgq_retry_delay", &["-1", "1 minute", "nan"]),
    ("pgq_retry_factor", &["0.5", "x", "inf", "nan"]),
    ("pgq_retry_cap", &["-1", "x"]),
    ("pgq_retry_jitter", &["-0.1", "1.5", "nan"]),
    ("pgq_max_retries", &["-1", "1.5", "never"]),
    ("subconsumer_timeout", &["soon", "-1"]),
    ("pgq_twin", &["", "Stop", "both"]),
    ("keepalive_stats", &["-1", "often"]),
    ("pgq_listen", &["2", "x"]),
];

#[test]
fn a_bad_value_is_one_line_and_status_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("x.ini"), "[greeter]\ndb = host=/nowhere\npgq_queue_name = q\n")
        .expect("writable");
    for (key, values) in BAD {
        for value in values {
            let set = format!("{key}={value}");
            let mut greeter = command("greeter", folder.path());
            let output = greeter.args(["x.ini", "--set", &set]).output().expect("starts");
            let line = errors(&output);
            assert_eq!(output.status.code(), Some(2), "{set}: {line}");
            assert!(line.lines().count() == 1 && line.contains(key), "{set}: {line}");
        }
    }
}
