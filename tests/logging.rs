//! The log: the format and the destination of its lines, compared with Skytools where that has the same.

mod files;
mod log_db;
mod receivers;
mod skylog;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::programs::{errors, program, succeed};

/// Lines of every level, with characters that have to be escaped.
const LINES: &str = "\
ERROR pgq::consumer it failed: 100% of %(name)s and {0} are lost\n\
WARN pgq \u{fc}n\u{ef}c\u{f6}d\u{e9} \u{1F40D} \u{4e2d}\u{6587}\n\
INFO pgq_ext first line\\nsecond line\\n\\n  last line\n\
INFO log_lines {count: 2, duration: 0.0260}\n\
DEBUG log_lines details\n\
TRACE log_lines more details\n";

/// The same as the program, on Skytools, under the job's name as all programs of its first versions logged.
const SKYTOOLS: &str = r#"
import logging, os, sys, skytools
# Formats without a frame for messages have their line ends escaped here.
skylog = open("skylog.ini").read() if os.path.exists("skylog.ini") else ""
end = "\n" if "skylog.Udp" in skylog or "LogDB" in skylog else "\\n"
class LogLines(skytools.BaseScript):
    def work(self):
        log = logging.getLogger(self.job_name)
        for line in open(self.cf.getfile("lines"), encoding="utf8"):
            level, target, message = line.rstrip("\n").split(" ", 2)
            level = {"ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}[level]
            log.log(level, "%s", message.replace("\\n", end))
        return 0
LogLines("log_lines", sys.argv[1:]).start()
"#;

/// A folder with a config file `job.ini` for the program, and the lines that it logs.
struct Job {
    folder: TempDir,
}

impl Job {
    /// Makes a job that logs [`LINES`] and ends; `more` is appended to its config file.
    fn create(more: &str) -> Job {
        let job = Job { folder: tempfile::tempdir().expect("a temporary folder") };
        job.write("lines", LINES);
        job.write("job.ini", &format!("[log_lines]\nlines = lines\nloop_delay = 0\n{more}\n"));
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writable");
    }

    fn append(&self, name: &str, text: &str) {
        let file = File::options().append(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("writable");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn command(&self, switches: &[&str]) -> Command {
        let mut command = Command::new(program("log_lines"));
        self.complete(&mut command, switches);
        command
    }

    fn skytools(&self, switches: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-W", "ignore", "-c", SKYTOOLS]);
        self.complete(&mut command, switches);
        command
    }

    fn complete(&self, command: &mut Command, switches: &[&str]) {
        command.args(switches).arg("job.ini").current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("PYTHONIOENCODING", "utf-8").env("LC_ALL", "C.UTF-8");
        command.env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    }

    /// Runs the program to its end, which is a good one.
    fn run(&self, switches: &[&str]) -> Output {
        succeed(&mut self.command(switches))
    }

    /// Runs the program, which must refuse to start: with this status and one line that holds all of `expected`.
    #[track_caller]
    fn refuse(&self, status: i32, expected: &[&str]) {
        let output = self.command(&[]).output().expect("the program starts");
        let line = errors(&output);
        assert_eq!(output.status.code(), Some(status), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        for expected in expected {
            assert!(line.contains(expected), "`{expected}` is not in: {line}");
        }
    }
}

/// Replaces every time and process id by a mark; the process's own id is an argument.
fn normalize(text: &str, pid: &str) -> String {
    let is_time = |text: &str| {
        let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        shape == "0000-00-00 00:00:00,000"
    };
    let line = |line: &str| match line.get(..23) {
        Some(time) if is_time(time) => line[23..].replacen(&format!(" {pid} "), "TIME PID ", 1),
        _ => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the process id that the first line shows.
fn pid(text: &str) -> String {
    text.split(' ').nth(2).unwrap_or_default().to_owned()
}

#[test]
fn lines_are_those_of_skytools() {
    for switches in [&[][..], &["-q"], &["-v"], &["-v", "-v"]] {
        let (ours, theirs) = (Job::create("logfile = x.log"), Job::create("logfile = x.log"));
        let our_errors = errors(&ours.run(switches));
        let their_errors = errors(&succeed(&mut theirs.skytools(switches)));
        let (our_file, their_file) = (ours.read("x.log"), theirs.read("x.log"));
        assert_eq!(our_errors, our_file);
        assert_eq!(their_errors, their_file);
        assert_eq!(normalize(&our_file, &pid(&our_file)), normalize(&their_file, &pid(&their_file)));
        let levels = [" ERROR ", " INFO ", " DEBUG ", " TRACE "].map(|level| our_file.contains(level));
        let expected = match switches {
            ["-q"] => [true, false, false, false],
            [] => [true, true, false, false],
            ["-v"] => [true, true, true, false],
            _ => [true; 4],
        };
        assert_eq!(levels, expected);
    }
}

#[test]
fn formats_of_the_config_file_are_those_of_skytools() {
    let formats = "\
        logfile = x.log\n\
        logfmt_console = %%(levelname)-8s|%%(job_name)s|%%(message)s\n\
        logdatefmt_file = %%Y\n\
        logfmt_file = %%(asctime)s %%(levelno)d %%(message)s\n\
        logfmt_console_verbose = verbose %%(message)s\n\
        logdatefmt_file_verbose = %%d";
    for switches in [&[][..], &["-v"]] {
        let (ours, theirs) = (Job::create(formats), Job::create(formats));
        let our_errors = errors(&ours.run(switches));
        let their_errors = errors(&succeed(&mut theirs.skytools(switches)));
        // Outside of skylog, Skytools has no job name.
        assert_eq!(our_errors.replace("|job|", "|unknown_job|"), their_errors);
        assert_eq!(ours.read("x.log"), theirs.read("x.log"));
    }
    Job::create("logfmt_file = %%(nope)s").refuse(2, &["logfmt_file", "job.ini", "`%(nope)` is no field"]);
}

#[test]
fn json_is_one_object_a_line() {
    let job = Job::create("log_format = json\nlogfile = x.log");
    let text = errors(&job.run(&["-v", "-v"]));
    assert_eq!(text, job.read("x.log"));
    assert!(text.starts_with(r#"{"time":""#), "{text}");
    let expected: Vec<Vec<&str>> = LINES.lines().map(|line| line.splitn(3, ' ').collect()).collect();
    assert_eq!(text.lines().count(), expected.len());
    for (line, expected) in text.lines().zip(expected) {
        let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(object.as_object().expect("an object").len(), 7);
        assert_eq!(object["level"], if expected[0] == "WARN" { "WARNING" } else { expected[0] });
        assert_eq!(object["target"], expected[1]);
        assert_eq!(object["message"], expected[2].replace("\\n", "\n"));
        assert_eq!((&object["job"], &object["service"]), (&"job".into(), &"log_lines".into()));
        assert!(object["pid"].as_u64().is_some_and(|pid| pid > 1));
        let time = object["time"].as_str().expect("a string");
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.contains('.'), "{time}");
    }
    Job::create("log_format = xml").refuse(2, &["`xml` of key log_format", "job.ini"]);
}

#[test]
fn lines_for_the_journal_carry_their_priority() {
    let job = Job::create("");
    let run = |name: &str, stream: &dyn Fn(&Path) -> String| {
        let file = File::create(job.path(name)).expect("creatable");
        succeed(job.command(&["-v"]).env("JOURNAL_STREAM", stream(&job.path(name))).stderr(file));
        job.read(name)
    };
    let id = |path: &Path| {
        let file = fs::metadata(path).expect("there");
        format!("{}:{}", file.dev(), file.ino())
    };
    let text = run("journal", &id);
    let priorities: Vec<&str> = text.lines().map(|line| line.get(..3).unwrap_or(line)).collect();
    assert_eq!(priorities, ["<3>", "<4>", "<6>", "<6>", "<7>"], "{text}");
    assert!(text.contains("INFO first line\\nsecond line\\n\\n  last line\n<6>"), "{text}");
    let text = run("other", &|_| id(&job.path("journal")));
    assert!(!text.contains('<') && text.lines().count() == 5, "{text}");
}

#[test]
fn libraries_are_quiet_below_warnings_unless_everything_is_wanted() {
    let job = Job::create("");
    let targets = ["postgres::config", "tokio_postgres", "r2d2", "rustls::conn", "postgresql"];
    let lines =
        targets.map(|target| format!("WARN {target} warning\nINFO {target} info\nDEBUG {target} debug\n"));
    job.write("lines", &lines.concat());
    let count = |switches: &[&str]| errors(&job.run(switches)).lines().count();
    assert_eq!(count(&["-q"]), 5);
    assert_eq!(count(&[]), 6);
    assert_eq!(count(&["-v"]), 7);
    assert_eq!(count(&["-v", "-v"]), 15);
}

#[test]
fn a_standard_error_that_is_closed_or_broken_stops_nothing() {
    let job = Job::create("logfile = x.log");
    let program = program("log_lines");
    let run = |redirect: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("exec '{}' job.ini {redirect}", program.display()));
        job.write("x.log", "");
        assert!(shell.current_dir(job.folder.path()).status().expect("starts").success(), "{redirect}");
        assert_eq!(job.read("x.log").lines().count(), 4, "{redirect}");
    };
    run("2>&-");
    run("2>/dev/full");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    job.write("x.log", "");
    succeed(job.command(&[]).stderr(writer));
    assert_eq!(job.read("x.log").lines().count(), 4);
}
