//! Settings of queues, shown and changed.

use std::time::Duration;

use super::Place;
use crate::support::queues::UNUSUAL;

const SHOWN: &str = "\
testqueue
    queue_ticker_max_lag        =     3
    queue_ticker_max_count      =   500
    queue_ticker_idle_period    =    60
    queue_rotation_period       =  7200
";

/// All settings of the queues, to see that nothing has changed.
const EVERYTHING: &str = "select string_agg(queue::text, ' ' order by queue_name) from pgq.queue";

#[test]
fn settings_are_shown_as_ever() {
    for place in Place::each() {
        assert_eq!(place.done(&["config"]), (String::new(), String::new()));
        place.done(&["create", "testqueue"]);
        assert_eq!(place.done(&["config"]), (SHOWN.to_owned(), String::new()));
        place.done(&["create", "a"]);
        let both = format!("{}{SHOWN}", SHOWN.replace("testqueue", "a"));
        assert_eq!(place.done(&["config"]).0, both);
        assert_eq!(place.done(&["config", "testqueue"]).0, SHOWN);
    }
}

#[test]
fn settings_are_changed_with_and_without_the_prefix() {
    for place in Place::each() {
        place.done(&["create", "bazqueue"]);
        let change = ["config", "bazqueue", "queue_ticker_max_lag=10", "queue_ticker_max_count=300"];
        let received =
            "Change queue bazqueue config to: queue_ticker_max_lag='10', queue_ticker_max_count='300'\n";
        assert_eq!(place.done(&change), (received.to_owned(), String::new()));
        let change =
            ["config", "bazqueue", "rotation_period=2 hours", "queue_ticker_idle_period=1 min 30.5 s"];
        place.done(&change);
        let expected = "bazqueue\n    queue_ticker_max_lag        =    10\n    \
                        queue_ticker_max_count      =   300\n    queue_ticker_idle_period    =  90.5\n    \
                        queue_rotation_period       =  7200\n";
        assert_eq!(place.done(&["config", "bazqueue"]).0, expected);
    }
}

#[test]
fn settings_beside_the_usual_are_shown_where_they_are_set() {
    for mut place in Place::each() {
        place
            .client
            .batch_execute("create function public.tidy(text) returns int language sql as 'select 0'")
            .expect("created");
        place.done(&["create", "testqueue"]);
        let set = [
            "Queue_Ticker_Paused=on",
            "external_ticker=yes",
            "disable_insert=1",
            "per_tx_limit=20",
            "extra_maint={public.tidy}",
        ];
        let mut change = vec!["config", "testqueue"];
        change.extend(set);
        place.done(&change);
        let more = "    queue_ticker_paused         =  true\n    queue_external_ticker       =  true\n    \
                    queue_disable_insert        =  true\n    queue_per_tx_limit          =    20\n    \
                    queue_extra_maint           = public.tidy\n";
        assert_eq!(place.done(&["config"]).0, format!("{SHOWN}{more}"));
        let config = pgq::admin::queue_config(&mut place.client, "testqueue").expect("there");
        assert!(config.ticker_paused && config.external_ticker && config.disable_insert);
        assert_eq!((config.per_tx_limit, &*config.extra_maint), (Some(20), &["public.tidy".to_owned()][..]));
        assert_eq!(config.rotation_period, Duration::from_secs(7200));

        let reset =
            ["ticker_paused=f", "external_ticker=f", "disable_insert=f", "per_tx_limit=", "extra_maint="];
        let mut change = vec!["config", "testqueue"];
        change.extend(reset);
        place.done(&change);
        assert_eq!(place.done(&["config"]).0, SHOWN);
    }
}

#[test]
fn a_forbidden_command_changes_nothing_and_is_reported_in_one_line() {
    for mut place in Place::each() {
        place.done(&["create", "a", "b"]);
        let before = place.value(EVERYTHING);
        let good = "ticker_max_lag=77";
        place.refused(&["config", "nope"], 1, "queue `nope` does not exist; there are `a`, `b`");
        place.refused(&["config", "nope", good], 1, "queue `nope` does not exist; there are `a`, `b`");
        let names = "ticker_max_lag, ticker_max_count, ticker_idle_period, rotation_period, ticker_paused, \
                     external_ticker, disable_insert, per_tx_limit, extra_maint";
        place.refused(&["config", "a", good, "max_lag=1"], 2, names);
        place.refused(&["config", "a", good, "queue_name=b"], 2, "unknown variable `queue_name`");
        place.refused(&["config", "a", "tiker_max_lag=1"], 2, "did you mean `ticker_max_lag`?");
        place.refused(&["config", "a", good, "queue_ticker_max_lag=1"], 2, "given twice");
        place.refused(&["config", "a", good, "rotation_period"], 2, "<variable>=<value>");
        for (change, takes) in [
            ("rotation_period=soon", "an interval such as `2 hours`"),
            ("rotation_period=", "an interval"),
            ("rotation_period=-1 s", "invalid value `-1 s`"),
            ("rotation_period=170000000 years", "an interval"),
            ("ticker_idle_period=infinity", "an interval"),
            ("ticker_max_count=-1", "a whole number, 0 or more"),
            ("ticker_max_count=many", "a whole number, 0 or more"),
            ("ticker_max_count=3000000000", "a whole number, 0 or more"),
            ("ticker_paused=maybe", "`true` or `false`"),
            ("disable_insert=", "`true` or `false`"),
            ("per_tx_limit=-5", "or empty for no limit"),
            ("extra_maint={no.such_function}", "functions with one argument of type text"),
            ("extra_maint=x", "functions with one argument of type text"),
        ] {
            place.refused(&["config", "a", good, change], 2, takes);
        }
        assert_eq!(place.value(EVERYTHING), before);
    }
}

#[test]
fn a_role_without_rights_sees_settings_and_changes_none() {
    for mut place in Place::each() {
        place.done(&["create", "testqueue"]);
        let before = place.value(EVERYTHING);
        let reader = place.as_role("in role pgq_reader");
        assert_eq!(place.done(&["config"]).0, SHOWN);
        place.refused(&["config", "testqueue", "ticker_max_lag=1"], 1, "permission denied");
        place.refused(&["config", "testqueue", "disable_insert=true"], 1, "permission denied");
        drop(reader);
        assert_eq!(place.value(EVERYTHING), before);
        let _admin = place.as_role("in role pgq_admin");
        place.done(&["config", "testqueue", "ticker_max_lag=1", "per_tx_limit=7"]);
        assert_ne!(place.value(EVERYTHING), before);
    }
}

#[test]
fn a_queue_may_have_any_name() {
    for place in Place::each() {
        place.done(&["create", UNUSUAL]);
        let (out, _) = place.done(&["config", UNUSUAL, "ticker_max_lag=4"]);
        assert_eq!(out.lines().count(), 1, "{out}");
        let (out, _) = place.done(&["config"]);
        assert_eq!(out.lines().count(), 5, "{out}");
        assert!(out.starts_with("o'dd \"queue\" \\\\ %s $1 \\t\\n\\u{1}ünï"), "{out}");
        assert!(out.contains("queue_ticker_max_lag        =     4\n"), "{out}");
    }
}
