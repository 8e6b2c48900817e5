//! Errors are reported in one clear line, with the right exit status, and without secrets.

use std::fs;
use std::process::Command;

use crate::support::jobs::TestJob;
use crate::support::output::SECRET;
use crate::support::programs::{MOVER_INI, Pair, Running, SOURCE_QUEUE, command, errors, succeed};
use crate::support::server::Server;
use crate::support::{queues, wait_for};

/// Fails unless the command ends with `status` and one line that holds all of `expected`.
#[track_caller]
fn check(command: &mut Command, status: i32, expected: &[&str]) {
    let output = command.output().expect("the program starts");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains(SECRET) && !text.contains("backtrace") && !text.contains("panicked"), "{text}");
    assert!(output.stdout.is_empty());
}

/// Checks the mover with a changed file.
#[track_caller]
fn check_ini(pair: &Pair, change: impl FnOnce(String) -> String, status: i32, expected: &[&str]) {
    pair.write_ini("");
    let file = pair.folder.path().join("mover.ini");
    let text = fs::read_to_string(&file).expect("the file is there");
    fs::write(&file, change(text)).expect("the file is writable");
    check(&mut pair.mover(&[]), status, expected);
}

#[test]
fn the_command_line() {
    let pair = Pair::create();
    check(&mut pair.mover(&["--frobnicate"]), 2, &["--frobnicate", "--help"]);
    check(&mut pair.mover(&["--set", "x"]), 2, &["--set must be PARAM=VAL, not `x`"]);
    check(&mut pair.mover(&["-s", "-k"]), 2, &["cannot be used with"]);
    let folder = pair.folder.path();
    check(&mut command("queue_mover", folder), 2, &["no config file given", "--ini"]);
    check(
        command("queue_mover", folder).arg("none.ini"),
        2,
        &["cannot read config file `none.ini`", "No such file"],
    );
    check(command("queue_mover", folder).arg("."), 2, &["cannot read config file `.`"]);
    check(command("queue_mover", folder).args(["mover.ini", "more"]), 2, &["unexpected argument 'more'"]);
    fs::write(folder.join("adm.ini"), "[pgqadm]\ndb = dbname=x\n").expect("writable");
    let adm = |arguments: &[&str]| {
        let mut adm = command("pgqadm", folder);
        adm.arg("adm.ini").args(arguments);
        adm
    };
    check(&mut adm(&[]), 2, &["no command given"]);
    check(&mut adm(&["crate", "q"]), 2, &["unknown command `crate`; did you mean `create`?"]);
    check(&mut adm(&["create"]), 2, &["command `create` takes <queue>"]);
    check(&mut adm(&["install", "londiste"]), 2, &["unknown schema `londiste`"]);
    check(adm(&["ticker"]).arg("-d"), 2, &["-d requires `pidfile`"]);
    check(
        adm(&["create", "q"]).args(["-d", "--set", "pidfile=x.pid"]),
        2,
        &["-d cannot be used with a job that runs once"],
    );
    assert!(!folder.join("x.pid").exists());
}

/// Texts of the mover's file, wrong ones in their place, and what the message contains.
const WRONG_LINES: [(&str, &str, &[&str]); 12] = [
    ("[queue_mover]", "[mover]", &["section [queue_mover] is missing", "[mover]"]),
    ("[queue_mover]", "", &["text before the first [section]"]),
    (
        "loop_delay = 0.05",
        "loop_delay = soon",
        &["invalid value `soon` of key loop_delay", "it must be a number"],
    ),
    ("%(job_name)s.pid", "%(jobname)s.pid", &["key pidfile", "`%(jobname)s` is not set"]),
    ("exception_sleep = 0.05", "pgq_lazy_fetch = -1", &["`-1` of key pgq_lazy_fetch"]),
    ("exception_sleep = 0.05", "log_size = 10 miles", &["`10 miles` of key log_size"]),
    ("src_db = ", "src_db = sslmode=perhaps ", &["src_db", "sslmode"]),
    ("src_db = ", "src_db = colour=blue ", &["src_db", "unknown keyword `colour`"]),
    ("pgq_queue_name = eventlog", "pgq_queue_name =", &["not set: pgq_queue_name"]),
    ("src_db = ", "src_db =\nold = ", &["not set: src_db"]),
    ("src_db = ", "src_db = gssencmode=require ", &["src_db", "`gssencmode`"]),
    ("src_db = dbname=", "src_db = ", &["src_db", "missing `=` after"]),
];

#[test]
fn the_config_file() {
    let pair = Pair::create();
    for (from, to, expected) in WRONG_LINES {
        check_ini(&pair, |text| text.replace(from, to), 2, expected);
    }
    for key in ["src_db", "dst_db", "pgq_queue_name", "dst_queue_name"] {
        let expected = format!("config value not set: {key} (section [queue_mover] of `mover.ini`)");
        check_ini(&pair, move |text| text.replace(&format!("\n{key} ="), "\nold ="), 2, &[&expected]);
    }
}

#[test]
fn the_databases() {
    let pair = Pair::create();
    check_ini(
        &pair,
        |text| text.replace(&pair.source, "nowhere"),
        1,
        &["src_db", "`nowhere`", "does not exist"],
    );
    check_ini(
        &pair,
        |text| text.replace(&pair.target, "nowhere"),
        1,
        &["dst_db", "`nowhere`", "does not exist"],
    );
    let no_server = "src_db = host=/no/such/folder ";
    check_ini(
        &pair,
        |text| text.replace("src_db = ", no_server),
        1,
        &["src_db", "/no/such/folder", "is the server running", "No such file"],
    );
    let refused = "src_db = host=127.0.0.1 port=1 ";
    check_ini(&pair, |text| text.replace("src_db = ", refused), 1, &["src_db", "port 1 ", "refused"]);
    let unknown = "src_db = host=no-such-host.invalid ";
    check_ini(&pair, |text| text.replace("src_db = ", unknown), 1, &["src_db", "no-such-host.invalid"]);
    let root = "src_db = host=127.0.0.1 sslmode=verify-full sslrootcert=/no/root.crt ";
    check_ini(&pair, |text| text.replace("src_db = ", root), 1, &["src_db", "`/no/root.crt` does not exist"]);
    let role = "dst_db = user=nobody_of_that_name ";
    check_ini(&pair, |text| text.replace("dst_db = ", role), 1, &["dst_db", "nobody_of_that_name"]);
    assert_eq!(queues::events(&mut pair.target_client(), "copy_of_eventlog").len(), 0);
}

#[test]
fn a_wrong_password() {
    let server =
        Server::builder().listen_localhost().hba("host all locked 127.0.0.1/32 scram-sha-256").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let statement = format!("create role locked login superuser password 'right-{SECRET}'");
    server.client("postgres").batch_execute(&statement).expect("the role is new");
    let pair = Pair::create();
    let login =
        format!("src_db = host=127.0.0.1 port={} user=locked password=wrong-{SECRET} ", server.port());
    check_ini(
        &pair,
        |text| text.replace("src_db = ", &login).replace(&pair.source, "postgres"),
        1,
        &["src_db", "28P01", "user `locked`"],
    );
    let missing = login.replace(&format!("password=wrong-{SECRET} "), "");
    check_ini(
        &pair,
        |text| text.replace("src_db = ", &missing).replace(&pair.source, "postgres"),
        1,
        &["src_db", "set `password`, PGPASSWORD or ~/.pgpass", "password missing"],
    );
    let right = login.replace("wrong", "right");
    check_ini(
        &pair,
        |text| text.replace("src_db = ", &right).replace(&pair.source, "postgres"),
        1,
        &["src_db", "schema `pgq` is not installed"],
    );
    assert!(!pair.log().contains(SECRET));
}

#[test]
fn schemas_and_queues() {
    let pair = Pair::create();
    let queue =
        |key: &'static str| move |text: String| text.replace(&format!("{key} = "), &format!("{key} = not_"));
    check_ini(
        &pair,
        queue("pgq_queue_name"),
        1,
        &["src_db", "queue `not_eventlog` does not exist", "pgqadm"],
    );
    check_ini(
        &pair,
        queue("dst_queue_name"),
        1,
        &["dst_db", "queue `not_copy_of_eventlog` does not exist", "pgqadm"],
    );
    // Neither failure has registered the consumer.
    let known = pair.source_client().query("select * from pgq.get_consumer_info()", &[]).expect("readable");
    assert!(known.is_empty());
    pair.target_client().batch_execute("drop schema pgq_ext cascade").expect("dropped");
    check_ini(
        &pair,
        |text| text,
        1,
        &["dst_db", "schema `pgq_ext` is not installed", "pgqadm CONFIG.ini install"],
    );
    queues::uninstall(&mut pair.source_client());
    pgq_ext::schema::install(&mut pair.target_client()).expect("installed");
    check_ini(
        &pair,
        |text| text,
        1,
        &["src_db", "schema `pgq` is not installed", "pgqadm CONFIG.ini install"],
    );
}

#[test]
fn a_queue_without_a_tick() {
    let pair = Pair::create();
    let mut source = pair.source_client();
    pgq::admin::create_queue(&mut source, "untouched").expect("created");
    source.batch_execute("delete from pgq.tick").expect("deleted");
    check_ini(
        &pair,
        |text| text.replace("= eventlog\n", "= untouched\n"),
        1,
        &["src_db", "queue `untouched`", "ticker"],
    );
}

#[test]
fn files_that_cannot_be_used() {
    let pair = Pair::create();
    for folder in ["pid", "log"] {
        fs::create_dir_all(pair.folder.path().join(folder)).expect("writable");
    }
    let log =
        |path: &'static str| move |text: String| text.replace("logfile = pid/", &format!("logfile = {path}"));
    check_ini(&pair, log("/proc/none/"), 1, &["cannot write logfile `/proc/none/"]);
    check_ini(&pair, log("mover.ini/"), 1, &["cannot write logfile `mover.ini/"]);
    let pid =
        |path: &'static str| move |text: String| text.replace("pidfile = log/", &format!("pidfile = {path}"));
    assert!(!pair.pidfile().exists(), "a failed start leaves no pidfile");
    check_ini(&pair, pid("/proc/none/"), 1, &["cannot use pidfile `/proc/none/"]);
    check_ini(
        &pair,
        |text| text.replace("pidfile = log/%(job_name)s.pid", "pidfile = pid"),
        1,
        &["cannot use pidfile `pid`"],
    );
}

#[test]
fn an_unknown_key_is_reported_with_a_suggestion() {
    let pair = Pair::create();
    pair.write_ini("pgq_lazy_fetsh = 5\n");
    let log = errors(&pair.drain());
    assert_eq!(log.matches("WARNING").count(), 1, "{log}");
    assert!(log.contains("unknown key `pgq_lazy_fetsh`; did you mean `pgq_lazy_fetch`?"), "{log}");
}

#[test]
fn control_switches_without_a_process() {
    let pair = Pair::create();
    check(&mut pair.mover(&["-s"]), 0, &["WARNING no pidfile `", "/log/", "not running"]);
    fs::create_dir_all(pair.folder.path().join("log")).expect("writable");
    fs::write(pair.pidfile(), "999999999\n").expect("writable");
    check(&mut pair.mover(&["-k"]), 0, &["WARNING pidfile `log/", "is stale"]);
    let ini = pair.folder.path().join("mover.ini");
    let text = fs::read_to_string(&ini).expect("there");
    fs::write(&ini, text.replace("pidfile =", "#")).expect("writable");
    check(&mut pair.mover(&["-r"]), 0, &["WARNING no pidfile in the config file"]);
}

#[test]
fn the_sample_file_starts_the_program_once_it_is_filled_in() {
    let pair = Pair::create();
    let [src, dst] = [&pair.source, &pair.target].map(|name| format!("_db=dbname={name}"));
    let (src, dst) = (format!("src{src}"), format!("dst{dst}"));
    let queue = format!("pgq_queue_name={SOURCE_QUEUE}");
    let mut sample = command("queue_mover", pair.folder.path());
    sample.args([
        "--ini",
        "--set",
        &src,
        "--set",
        &dst,
        "--set",
        &queue,
        "--set",
        "dst_queue_name=copy_of_eventlog",
    ]);
    let output = sample.output().expect("starts");
    assert!(output.status.success());
    fs::write(pair.folder.path().join("mover.ini"), &output.stdout).expect("writable");
    let text = String::from_utf8(output.stdout).expect("text");
    for line in MOVER_INI.lines().skip(1) {
        let key = line.split_once(" =").expect("a key").0;
        assert!(text.contains(&format!("{key} =")), "{key} is not in the sample");
    }
    let log = errors(&pair.drain());
    assert!(!log.contains("WARNING"), "{log}");
}

#[test]
fn an_empty_queue_name_is_wrong_usage() {
    let pair = Pair::create();
    let ini = format!("[pgqadm]\ndb = dbname={}\n", pair.source);
    fs::write(pair.folder.path().join("adm.ini"), ini).expect("writable");
    let mut create = command("pgqadm", pair.folder.path());
    check(create.args(["adm.ini", "create", ""]), 2, &["a queue's name must not be empty"]);
}

#[test]
fn a_broken_file_does_not_prevent_stopping_the_process() {
    let pair = Pair::create();
    pair.register();
    let mut mover = Running::start(&mut pair.mover(&[]));
    wait_for("the mover to be up", || pair.log().contains("consuming queue"));
    let ini = pair.folder.path().join("mover.ini");
    let text = fs::read_to_string(&ini).expect("there");
    fs::write(&ini, text.replace("loop_delay = 0.05", "loop_delay = soon")).expect("writable");
    check(&mut pair.mover(&["-r"]), 2, &["invalid value `soon` of key loop_delay"]);
    assert!(mover.is_running());
    succeed(&mut pair.mover(&["-s"]));
    assert_eq!(mover.wait(), Some(0));
}

#[test]
fn a_standard_error_that_takes_nothing_changes_no_status() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status = |argument: &str| {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        let mut command = command("run_sql", folder.path());
        command.arg(argument).stderr(full).status().expect("starts").code()
    };
    assert_eq!(status("--frobnicate"), Some(2));
    assert_eq!(status("none.ini"), Some(2));
}

#[test]
fn a_panic_outside_of_the_rounds() {
    for mood in ["unbuildable", "once"] {
        let job = TestJob::of("moody", &format!("moods = {mood}\n"));
        check(&mut job.command(&[]), 1, &["panic at tests/programs/moody.rs:", ": oh dear"]);
    }
    let job = TestJob::of("moody", "moods = unbuildable\n");
    check(&mut job.command(&["-d"]), 1, &["not started: panic at tests/programs/moody.rs:", ": oh dear"]);
    assert!(!job.path().join("job.pid").exists());
}
