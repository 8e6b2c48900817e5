use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;

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
    Config::from_text(Path::new("dir/mover.ini"), text, &["queue_mover", "queue_mover3"], &set)
}

fn config(text: &str) -> Config {
    parse(text, &[]).expect("the file is valid")
}

fn check_error<T>(result: Result<T, Error>, expected: &str) {
    let error = result.err().expect("an error");
    assert!(error.kind() == ErrorKind::Usage);
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
    assert_eq!(config.get(&PIDFILE).expect("set"), "b/dir/queue_mover3");
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
fn errors_are_named() {
    check_error(
        parse("[other]\nx=1\n[more]\n", &[]),
        "section [queue_mover] is missing; the file has [more], [other]",
    );
    check_error(parse("", &[]), "the file has no section");
    check_error(parse("x = 1\n[queue_mover]\n", &[]), "line 1: text before the first [section]");
    check_error(parse("[queue_mover]\njunk\n", &[]), "line 2: section [queue_mover]: neither");
    check_error(parse("[queue_mover\n", &[]), "config file `dir/mover.ini`: line 1: ");
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
fn an_override_of_the_old_name_wins_over_the_file() {
    let text = "[DEFAULT]\npgq_queue_name = default\n[queue_mover]\nqueue_name = file\n";
    assert_eq!(config(text).get(&QUEUE).expect("set"), "file");
    let text = "[queue_mover]\nqueue_name = old\npgq_queue_name = new\n";
    assert_eq!(config(text).get(&QUEUE).expect("set"), "new");
    let config = parse(text, &[("QUEUE_name", "switch")]).expect("valid");
    assert_eq!(config.get(&QUEUE).expect("set"), "switch");
}

#[test]
fn built_ins_give_way_to_section_and_default() {
    let all = "job_name=%(job_name)s service=%(service_name)s dir=%(config_dir)s file=%(config_file)s";
    let key = Key::required("all", "");
    let config = config(&format!("[queue_mover3]\nall = {all}\n"));
    let expected = "job_name=mover service=queue_mover3 dir=dir file=dir/mover.ini";
    assert_eq!(config.get(&key).expect("set"), expected);
    let host = nix::unistd::gethostname().expect("a name").into_string().expect("text");
    assert_eq!(config.get(&Key::required("host_name", "")).expect("built in"), host);
    let text = format!("[DEFAULT]\nconfig_dir = d\n[queue_mover]\njob_name = s\nall = {all}\n");
    let expected = "job_name=s service=queue_mover dir=d file=dir/mover.ini";
    assert_eq!(self::config(&text).get(&key).expect("set"), expected);
}

#[test]
fn a_percent_sign_in_the_files_name_stands_for_itself() {
    let text = "[queue_mover]\npidfile = %(job_name)s.pid\n";
    let config = Config::from_text(Path::new("100%(x)s.ini"), text, &["queue_mover"], &[]).expect("valid");
    assert_eq!(config.file(&PIDFILE).expect("set"), Some(PathBuf::from("100%(x)s.pid")));
    let config = Config::from_text(Path::new("mover.ini"), "[s]", &["s"], &[]).expect("valid");
    assert_eq!(config.get(&Key::required("config_dir", "")).expect("built in"), ".");
}

#[test]
fn lists_keep_their_order() {
    let config = config("[queue_mover]\nlist = a, b ,,c\nempty =\n");
    let strings = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    assert_eq!(config.list(&Key::required("list", "")).expect("set"), strings(&["a", "b", "", "c"]));
    assert_eq!(config.list(&Key::optional("empty", "")).expect("set"), strings(&[]));
    assert_eq!(config.list(&Key::optional("none", "")).expect("optional"), strings(&[]));
    check_error(config.list(&Key::required("none", "")), "config value not set: none (section");
    assert_eq!(config.list(&Key::with_default("none", "x,y", "")).expect("default"), strings(&["x", "y"]));
}

#[test]
fn numbers_are_read_as_python_reads_them() {
    let config = config("[queue_mover]\nint = \n  +1_000\nfloat = 1_0.5e1_0\nsize = 4 kB\nwrong = 1__0\n");
    assert_eq!(config.parsed::<i64>(&Key::required("int", "")).expect("a number"), 1000);
    assert_eq!(config.parsed::<f64>(&Key::required("float", "")).expect("a number"), 10.5e10);
    assert_eq!(config.size(&Key::required("size", "")).expect("a size"), 4096);
    assert_eq!(config.parsed::<String>(&Key::required("float", "")).expect("text"), "1_0.5e1_0");
    let wrong = Key::required("wrong", "");
    check_error(
        config.parsed::<i64>(&wrong),
        "invalid value `1__0` of key wrong (section [queue_mover] of `dir/mover.ini`)",
    );
    check_error(config.size(&wrong), "invalid value `1__0` of key wrong (section");
}

#[test]
fn a_dash_and_an_empty_path_stay_what_they_are() {
    let config = config("[queue_mover]\npidfile = -\nlogfile =\nodd = ~nobody-of-that-name/x\n");
    assert_eq!(config.file(&PIDFILE).expect("set"), Some(PathBuf::from("-")));
    assert_eq!(config.file(&Key::optional("logfile", "")).expect("set"), None);
    check_error(config.file(&Key::optional("odd", "")), "invalid value `~nobody-of-that-name/x` of key odd");
}

#[test]
fn the_file_alone_says_how_it_is_written() {
    assert!(parse("[queue_mover]\nconfig_format = 2\n", &[("config_format", "2")]).is_ok());
    check_error(
        parse("[queue_mover]\nconfig_format = 1\n", &[("config_format", "2")]),
        "--set cannot change",
    );
    check_error(parse("[queue_mover]\n", &[("CONFIG_FORMAT", "2")]), "--set cannot change");
    assert!(parse("[DEFAULT]\nconfig_format = 2\n[queue_mover]\n", &[]).is_ok());
    check_error(parse("[queue_mover]\nconfig_format = 3\n", &[]), "invalid value of key config_format");
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("x.ini");
    std::fs::write(&file, b"[queue_mover]\nx = 1\ny = \xff\n").expect("writable");
    check_error(Config::load(&file, &["queue_mover"], &[]), "x.ini`: line 3: not UTF-8");
}

#[test]
fn debug_shows_no_values() {
    let config = config("[queue_mover]\nsrc_db = password=s3cret\n");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_configuration_without_a_file_has_a_database_and_defaults() {
    let set = [("Loop_Delay".to_owned(), "5".to_owned())];
    let config = Config::without_file("pgqadm", ("db", "dbname=100%(x)s"), "--db", &set).expect("valid");
    assert_eq!(config.get(&Key::required("db", "")).expect("set"), "dbname=100%(x)s");
    assert_eq!(config.get(&DELAY).expect("overridden"), "5");
    assert_eq!(config.get(&CONSUMER).expect("default"), "pgqadm");
    assert_eq!(config.job_name().expect("built in"), "pgqadm");
    assert_eq!(config.service_name().expect("built in"), "pgqadm");
    let expected = "config value not set: pgq_queue_name (no config file, database from --db)";
    check_error(config.get(&QUEUE), expected);
    let folder = [("pidfile".to_owned(), "%(config_dir)s/x".to_owned())];
    let config = Config::without_file("pgqadm", ("db", "dbname=x"), "PGDATABASE", &folder).expect("valid");
    check_error(config.get(&PIDFILE), "(no config file, database from PGDATABASE)");
    let format = [("config_format".to_owned(), "2".to_owned())];
    let refused = Config::without_file("pgqadm", ("db", "dbname=x"), "--db", &format);
    check_error(refused, "--set cannot change config_format");
    assert!(!format!("{config:?}").contains("dbname"));
}
