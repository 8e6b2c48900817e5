use super::*;

const QUEUE: Key = Key::required("pgq_queue_name", "Queue.").or_named(&["queue_name"]);
const PIDFILE: Key = Key::optional("pidfile", "Pidfile.");
const DELAY: Key = Key::with_default("loop_delay", "1.0", "Delay.");
const CONSUMER: Key = Key::with_default("consumer_name", "%(job_name)s", "Consumer.");
const SKYLOG: Key = Key::with_default("use_skylog", "0", "Skylog.");

const SEEDS: &str = "[queue_mover]
job_name = eventlog_to_target_mover
src_db = dbname=sourcedb
dst_db = dbname=targetdb
pgq_queue_name = eventlog
dst_queue_name = copy_of_eventlog
pidfile = log/%(job_name)s.pid
logfile = pid/%(job_name)s.log
";

fn parse(text: &str, set: &[(&str, &str)]) -> Result<Config, Error> {
    let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config::parse(Path::new("dir/mover.ini"), text, &["queue_mover", "queue_mover3"], &set)
}

fn config(text: &str) -> Config {
    parse(text, &[]).expect("the file is valid")
}

fn check_error<T>(result: Result<T, Error>, expected: &str) {
    let error = result.err().expect("an error");
    assert!(error.is_usage());
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn the_file_of_the_manual_page_is_read() {
    let config = config(SEEDS);
    assert_eq!(config.job_name().expect("set"), "eventlog_to_target_mover");
    assert_eq!(config.get(&QUEUE).expect("set"), "eventlog");
    assert_eq!(config.get(&Key::required("src_db", "")).expect("set"), "dbname=sourcedb");
    let pidfile = config.file(&PIDFILE).expect("set");
    assert_eq!(pidfile, Some(PathBuf::from("log/eventlog_to_target_mover.pid")));
    assert_eq!(config.get(&CONSUMER).expect("default"), "eventlog_to_target_mover");
}

#[test]
fn the_syntax_is_that_of_config_parser() {
    let text = "# comment\n; comment\n[DEFAULT]\nbase = b\n[queue_mover3]\nQueue_Name: a;b#c=d\n\
                multi = one\n  two\nempty =\npidfile = %(base)s/%(config_dir)s/%(SERVICE_NAME)s\n";
    let config = config(text);
    assert_eq!(config.get(&QUEUE).expect("set"), "a;b#c=d");
    assert_eq!(config.get(&Key::required("multi", "")).expect("set"), "one\ntwo");
    assert_eq!(config.get(&Key::optional("empty", "")).expect("set"), "");
    check_error(config.get(&Key::required("empty", "")), "config value not set: empty");
    assert_eq!(config.get(&PIDFILE).expect("set"), "b/dir/queue_mover");
    assert_eq!(config.job_name().expect("file name"), "mover");
}

#[test]
fn switches_win_over_the_file_and_the_file_over_defaults() {
    let config = parse("[queue_mover]\nloop_delay = 2\n", &[("LOOP_DELAY", "3")]).expect("valid");
    assert_eq!(config.parsed::<f64>(&DELAY).expect("a number"), 3.0);
    let config = parse("[queue_mover]\nloop_delay = 2\n", &[]).expect("valid");
    assert_eq!(config.seconds(&DELAY).expect("a number"), Duration::from_secs(2));
    let config = parse("[queue_mover]\n", &[]).expect("valid");
    assert_eq!(config.parsed::<f64>(&DELAY).expect("a number"), 1.0);
}

#[test]
fn what_is_wrong_is_named() {
    check_error(
        parse("[other]\nx=1\n[more]\n", &[]),
        "section [queue_mover] is missing; the file has [more], [other]",
    );
    check_error(parse("", &[]), "the file has no section");
    check_error(parse("x = 1\n[queue_mover]\n", &[]), "`x` stands before any [section]");
    check_error(parse("[queue_mover]\njunk\n", &[]), "`junk` has no value");
    check_error(parse("[queue_mover\n", &[]), "config file `dir/mover.ini`: line 1");
    let config = config("[queue_mover]\nloop_delay = soon\nuse_skylog = maybe\npidfile = %(nope)s\n");
    check_error(
        config.get(&QUEUE),
        "config value not set: pgq_queue_name (section [queue_mover] of `dir/mover.ini`)",
    );
    check_error(config.parsed::<f64>(&DELAY), "invalid value `soon` of key loop_delay");
    check_error(config.boolean(&SKYLOG), "invalid value `maybe` of key use_skylog");
    check_error(config.get_opt(&PIDFILE), "key pidfile: `%(nope)s` is not set (section");
    check_error(
        Config::load(Path::new("/no/such.ini"), &["x"], &[]),
        "cannot read config file `/no/such.ini`",
    );
}

#[test]
fn a_negative_or_huge_time_is_refused() {
    for value in ["-1", "1e40", "nan"] {
        check_error(
            parse("[queue_mover]\n", &[("loop_delay", value)]).expect("valid").seconds(&DELAY),
            "loop_delay",
        );
    }
}

#[test]
fn keys_that_nothing_reads_are_found_with_the_nearest_name() {
    let config = config("[queue_mover]\npgq_queue_nmae = x\nbase = y\npidfile = %(base)s\nodd_one_out = 1\n");
    let unknown = config.unknown(&[QUEUE, PIDFILE]);
    let expected = [("odd_one_out".to_owned(), None), ("pgq_queue_nmae".to_owned(), Some("pgq_queue_name"))];
    assert_eq!(unknown, expected);
}

#[test]
fn a_tilde_is_the_home_folder() {
    let home = std::env::home_dir().expect("a home folder");
    assert_eq!(expand_home("~/log/x"), Some(home.join("log/x")));
    assert_eq!(
        expand_home("~root/x"),
        Some(User::from_name("root").expect("known").expect("known").dir.join("x"))
    );
    assert_eq!(expand_home("~nobody-of-that-name/x"), None);
}

#[test]
fn debug_shows_no_values() {
    let config = config("[queue_mover]\nsrc_db = password=s3cret\n");
    assert!(!format!("{config:?}").contains("s3cret"));
}
