//! `skylog.ini`, side by side with Skytools.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Job, normalize};
use crate::support::programs::{errors, program, succeed};

/// A file such as Skytools is installed with, with the handlers that stay on this machine.
const SKYLOG: &str = "\
; places to log to
[loggers]
keys=root

[handlers]
keys=stderr,logfile

[formatters]
keys=short,long,none

[logger_root]
level=DEBUG
handlers=stderr,logfile

[formatter_short]
format=%(asctime)s %(levelname)s %(message)s
datefmt=%Y

[formatter_long]
format=%(asctime)s %(process)s %(levelname)s [%(service_name)s/%(job_name)s] %(message)s

[formatter_none]
format=%(message)s
datefmt=

[handler_stderr]
class=StreamHandler
args=(sys.stderr,)
formatter=short

[handler_logfile]
class=skylog.EasyRotatingFileHandler
args=('~/log/%(job_name)s.log', 100*1024*1024, 3)
formatter=long
";

fn job(skylog: &str) -> Job {
    let job = Job::create("use_skylog = 1\nlogfile = own.log");
    // Python creates no folders.
    fs::create_dir(job.path("log")).expect("creatable");
    job.write("skylog.ini", skylog);
    job
}

/// Returns everything that a job has logged: errors, output and all files, with times and process id left out.
fn logged(job: &Job, command: &mut Command) -> String {
    let (out, err) = (job.path("out"), job.path("err"));
    let child = command.stdout(fs::File::create(out).expect("creatable"));
    let mut child = child.stderr(fs::File::create(err).expect("creatable")).spawn().expect("starts");
    let pid = child.id().to_string();
    assert!(child.wait().expect("a child").success(), "{}", job.read("err"));
    let mut files = Vec::new();
    for folder in [job.folder.path(), &job.path("log")] {
        let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
        files.extend(entries.filter(|path| path.is_file() && !path.ends_with("lines.done")));
    }
    files.sort();
    let show = |path: &Path| {
        let name = path.strip_prefix(job.folder.path()).expect("inside").display();
        format!("== {name}\n{}", normalize(&fs::read_to_string(path).expect("text"), &pid))
    };
    files.iter().map(|path| show(path)).collect()
}

#[track_caller]
fn check_same(skylog: &str, switches: &[&str]) -> String {
    let (ours, theirs) = (job(skylog), job(skylog));
    let our_log = logged(&ours, &mut ours.command(switches));
    let their_log = logged(&theirs, &mut theirs.skytools(switches));
    assert_eq!(our_log, their_log, "{switches:?}");
    our_log
}

#[test]
fn a_usual_file_works_as_in_skytools() {
    for switches in [&[][..], &["-q"], &["-v"], &["-v", "-v"]] {
        let log = check_same(SKYLOG, switches);
        assert!(log.contains("== log/job.log\nTIME PID ERROR [log_lines/job] it failed"), "{log}");
        assert!(log.contains("== own.log\nTIME PID ERROR it failed"), "{log}");
    }
}

/// A file with every class of handlers that writes to files or to the terminal.
const CLASSES: &str = "\
[DEFAULT]
base = log/%(service_name)s
[loggers]
keys = root, job
[handlers]
keys = plain, rotated, timed, out, errors, nothing, all, written
[formatters]
keys = line
[formatter_line]
format = %(levelname)-8s|%(levelno)5d|%(job_name)s|%(message)s
class = logging.Formatter
[logger_root]
level = ERROR
handlers = plain, out, errors, nothing
[logger_job]
level = DEBUG
qualname = job
propagate = 1
handlers = rotated, timed, all
[handler_plain]
class = FileHandler
args = ('%(base)s' '.plain', 'a')
level = WARNING
[handler_rotated]
class = handlers.RotatingFileHandler
args = ('%(base)s.rotated',)
kwargs = {'maxBytes': 9 * 10, 'backupCount': 3}
formatter = line
[handler_timed]
class = logging.handlers.TimedRotatingFileHandler
args = ('log/timed', 'midnight')
formatter = line
[handler_out]
class = StreamHandler
args = (sys.stdout,)
formatter = line
level = INFO
[handler_errors]
class = StreamHandler
args = ()
level = CRITICAL
[handler_nothing]
class = NullHandler
args = ()
[handler_all]
class = logging.FileHandler
args = (r'log/all', 'w', 'utf-8', True)
level = TRACE
formatter =
[handler_written]
class = FileHandler
args = ['log/unused']
";

#[test]
fn levels_loggers_and_classes_work_as_in_skytools() {
    for switches in [&[][..], &["-q"], &["-v", "-v"]] {
        let log = check_same(CLASSES, switches);
        assert!(log.contains("DEBUG   |   10|job|details"), "the job's logger has its own level: {log}");
        assert!(log.contains("log_lines.rotated.1\n") && log.contains("== log/unused\n=="), "{log}");
    }
    let alone = CLASSES.replace("propagate = 1", "propagate = 0");
    let log = check_same(&alone, &[]);
    assert!(log.contains("== log/all\nit failed") && log.contains("== log/log_lines.plain\n=="), "{log}");
}

#[test]
fn warnings_that_no_handler_is_there_for_are_shown_as_in_skytools() {
    let shown = |switches: &[&str]| {
        let job = Job::create("use_skylog = 2");
        job.write("skylog.ini", &SKYLOG.replace("handlers=stderr,logfile", "handlers="));
        let mut theirs = job.skytools(switches);
        fs::create_dir(job.path("log")).expect("creatable");
        (errors(&job.run(switches)), errors(&succeed(&mut theirs)))
    };
    for switches in [&[][..], &["-v"]] {
        let (ours, theirs) = shown(switches);
        assert_eq!(ours, theirs);
        assert!(ours.starts_with("it failed") && ours.lines().count() == 2, "{ours}");
    }
}

#[test]
fn modules_have_loggers_of_their_own() {
    let skylog = format!(
        "{}[logger_pgq]\nqualname=pgq.consumer\nlevel=DEBUG\nhandlers=logfile\npropagate=0\n\
         [logger_quiet]\nqualname=postgres\nlevel=INFO\nhandlers=\n",
        SKYLOG.replace("keys=root", "keys=root,pgq,quiet")
    );
    let job = job(&skylog);
    job.write(
        "lines",
        "DEBUG pgq::consumer::batch one\nDEBUG pgq two\nINFO postgres three\nINFO tokio_postgres four\nINFO x five\n",
    );
    let shown = errors(&job.run(&[]));
    let shown: Vec<&str> = shown.lines().map(|line| line.rsplit(' ').next().expect("a word")).collect();
    assert_eq!(shown, ["three", "five"]);
    let file = job.read("log/job.log");
    let filed: Vec<&str> = file.lines().map(|line| line.rsplit(' ').next().expect("a word")).collect();
    assert_eq!(filed, ["one", "three", "five"]);
}

/// Runs the program on a terminal, and returns its output there.
fn on_terminal(job: &Job) -> String {
    let mut python = Command::new("/usr/bin/python3");
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    python.args(["-c", spawn]).arg(program("log_lines")).arg("job.ini");
    python.current_dir(job.folder.path()).env("HOME", job.folder.path()).stdin(Stdio::null());
    String::from_utf8_lossy(&succeed(&mut python).stdout).into_owned()
}

#[test]
fn use_skylog_decides_when_skylog_is_used() {
    let uses = |use_skylog: u8, terminal: bool| {
        let job = job(SKYLOG);
        job.write(
            "job.ini",
            &job.read("job.ini").replace("use_skylog = 1", &format!("use_skylog = {use_skylog}")),
        );
        let shown = if terminal { on_terminal(&job) } else { errors(&job.run(&[])) };
        assert!(shown.contains("it failed"), "{shown}");
        assert!(job.read("own.log").contains("it failed"));
        job.path("log/job.log").exists()
    };
    assert_eq!([uses(0, false), uses(1, false), uses(2, false)], [false, true, true]);
    assert_eq!([uses(0, true), uses(1, true), uses(2, true)], [false, false, true]);
    Job::create("use_skylog = 3").refuse(2, &["`3` of key use_skylog", "job.ini"]);
}

#[test]
fn the_first_file_that_exists_is_used() {
    let job = Job::create("use_skylog = 2\nskylog_locations = nowhere.ini, log , ~/second.ini, third.ini");
    fs::create_dir(job.path("log")).expect("creatable");
    job.refuse(2, &["no skylog file", "`nowhere.ini`, `log`, `~/second.ini`, `third.ini`"]);
    job.write("third.ini", "");
    job.write("second.ini", SKYLOG);
    job.run(&[]);
    assert!(job.path("log/job.log").exists());
    let daemon = Job::create("use_skylog = 1\nskylog_locations = nowhere.ini\npidfile = pid");
    let output = daemon.command(&["-d"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("none of `nowhere.ini` exists"), "{}", errors(&output));
}

#[test]
fn errors_in_a_file_are_reported() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        assert!(SKYLOG.contains(from), "{from}");
        let job = job(&SKYLOG.replace(from, to));
        job.refuse(2, &[&["skylog file `skylog.ini`"], expected].concat());
    };
    let (handler, format) = ("section [handler_logfile]", "section [formatter_long]");
    let class = "class=skylog.EasyRotatingFileHandler";
    check(
        class,
        "class=handlers.SMTPHandler",
        &[handler, "key class", "`handlers.SMTPHandler` is not supported"],
    );
    check(class, "", &[handler, "key class", "not set"]);
    check("100*1024*1024", "100*'secret'", &[handler, "key args", "`*` is for integers only"]);
    check("100*1024*1024", "none", &[handler, "key args", "`none` is not supported"]);
    check(", 3)", ", 3, 4)", &[handler, "key args", "4 arguments"]);
    check(", 3)", ", -3)", &[handler, "key args", "`backupCount` cannot be -3"]);
    check("'~/log/%(job_name)s.log'", "None", &[handler, "key args", "`filename` is missing"]);
    check("(sys.stderr,)", "(sys.stdin,)", &["[handler_stderr]", "key args", "`sys.stdin` is not supported"]);
    check("(sys.stderr,)", "()\nkwargs={'x': 1}", &["[handler_stderr]", "key kwargs", "no argument `x`"]);
    check("%(job_name)s.log", "%(jobname)s.log", &[handler, "key args", "`%(jobname)s` is not set"]);
    check("formatter=long", "formatter=longer", &[handler, "key formatter", "`longer`"]);
    check("formatter=long", "formatter=long\nlevel=LOUD", &[handler, "key level", "`LOUD` is no level"]);
    check("%(levelname)s [", "%(level)s [", &[format, "key format", "`%(level)` is no field"]);
    check("datefmt=%Y", "class=x.Json", &["[formatter_short]", "key class", "`x.Json` is not supported"]);
    check("datefmt=%Y", "style={", &["[formatter_short]", "key style", "only `%`"]);
    check("keys=short,long", "keys=short,long,wide", &["section [formatter_wide] is missing"]);
    check("keys=stderr", "keys=more,stderr", &["section [handler_more] is missing"]);
    check("keys=root", "keys=root,x", &["section [logger_x] is missing"]);
    check("keys=root", "keys=", &["section [loggers]", "key keys", "`root` is missing"]);
    check("handlers=stderr,logfile", "handlers=stdout", &["[logger_root]", "key handlers", "`stdout`"]);
    check("handlers=stderr,logfile", "", &["[logger_root]", "key handlers", "not set"]);
    check("level=DEBUG", "level=10", &["[logger_root]", "key level", "`10` is no level"]);
    check("[formatters]", "[formats]", &["section [formatters] is missing"]);

    let job = job(&SKYLOG.replace("~/log/", "~/skylog.ini/"));
    job.refuse(1, &[handler, "key args", "cannot write log file", "skylog.ini/job.log"]);
}
