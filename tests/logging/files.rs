//! Log files of a running program: moved, full, shared.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::Job;
use crate::support::programs::{self, Running, errors, program, succeed};
use crate::support::wait_for;

/// Starts the program, which logs the lines that are appended to its file.
fn start(job: &Job) -> Running {
    let errors = fs::File::create(job.path("errors")).expect("creatable");
    let running = Running::start_with(&mut job.command(&["--set", "loop_delay=0.01"]), errors);
    wait_done(job);
    running
}

/// Appends a line and waits until the program has logged it.
fn log(job: &Job, message: &str) {
    job.append("lines", &format!("INFO test {message}\n"));
    wait_done(job);
    assert!(job.read("errors").contains(message));
}

fn wait_done(job: &Job) {
    let lines = job.read("lines").lines().count().to_string();
    wait_for("the program to log all lines", || job.read("lines.done") == lines);
}

fn stop(mut program: Running) {
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn a_moved_file_is_begun_anew() {
    let job = Job::create("logfile = logs/x.log");
    let program = start(&job);
    fs::rename(job.path("logs/x.log"), job.path("logs/moved")).expect("movable");
    log(&job, "after the move");
    assert!(job.read("logs/x.log").contains("after the move"));
    assert!(!job.read("logs/moved").contains("after the move"));

    fs::rename(job.path("logs/x.log"), job.path("logs/moved again")).expect("movable");
    program.signal(Signal::SIGHUP);
    wait_for("the new file", || job.read("logs/x.log").contains("Config reloaded"));
    stop(program);
}

#[test]
fn a_disk_that_is_full_for_a_while_stops_nothing() {
    let job = Job::create("logfile = x.log");
    let program = start(&job);
    fs::rename(job.path("x.log"), job.path("kept")).expect("movable");
    symlink("/dev/full", job.path("x.log")).expect("creatable");
    for number in 0..3 {
        log(&job, &format!("lost {number}"));
    }
    let complaints =
        |job: &Job| job.read("errors").matches("cannot write log file `x.log`: No space").count();
    assert_eq!(complaints(&job), 1, "{}", job.read("errors"));

    fs::rename(job.path("kept"), job.path("x.log")).expect("movable");
    log(&job, "back");
    let file = job.read("x.log");
    assert!(!file.contains("INFO lost") && file.contains("INFO back\n"), "{file}");
    // The three files, and the messages about them.
    assert!(file.contains("log file `x.log` is writable again: 4 lines are lost"), "{file}");
    assert_eq!(complaints(&job), 1);
    stop(program);
}

#[test]
fn a_limit_of_the_files_size_stops_nothing() {
    let job = Job::create("logfile = x.log");
    let lines: String = (0..500).map(|line| format!("INFO test line {line}\n")).collect();
    job.write("lines", &lines);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("ulimit -f 4; exec '{}' job.ini", program("log_lines").display()));
    let output = succeed(shell.current_dir(job.folder.path()));
    assert!(errors(&output).contains("cannot write log file `x.log`"), "{}", errors(&output));
    assert_eq!(errors(&output).matches("INFO line").count(), 500);
    let file = job.read("x.log");
    assert!(file.contains("INFO line 0\n") && !file.contains("INFO line 499\n"), "{file}");
}

#[test]
fn a_removed_folder_does_not_stop_the_program() {
    let job = Job::create("logfile = logs/x.log");
    let program = start(&job);
    fs::remove_dir_all(job.path("logs")).expect("removable");
    log(&job, "lost");
    fs::create_dir(job.path("logs")).expect("creatable");
    log(&job, "back");
    assert!(job.read("logs/x.log").contains("INFO back\n"));
    stop(program);
}

/// Makes the command for an ordinary user, since nothing is read-only to root.
fn ordinary(job: &Job) -> Command {
    let mut command = job.command(&["--set", "loop_delay=0.01"]);
    if !geteuid().is_root() {
        return command;
    }
    let nobody = User::from_name("nobody").expect("the list of users").expect("a user `nobody`");
    // The target folder may be closed to others.
    let copy = job.path("program");
    programs::copy(Path::new(command.get_program()), &copy);
    let own =
        |path: &Path| chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("root may");
    own(job.folder.path());
    for entry in fs::read_dir(job.folder.path()).expect("readable").flatten() {
        own(&entry.path());
    }
    command = Command::new(copy);
    job.complete(&mut command, &["--set", "loop_delay=0.01"]);
    command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    command
}

#[test]
fn a_folder_that_is_read_only_for_a_while_stops_nothing() {
    let job = Job::create("logfile = logs/x.log");
    let errors = fs::File::create(job.path("errors")).expect("creatable");
    let program = Running::start_with(&mut ordinary(&job), errors);
    wait_done(&job);
    let protect = |mode| {
        fs::set_permissions(job.path("logs"), fs::Permissions::from_mode(mode)).expect("the test may");
    };
    fs::rename(job.path("logs/x.log"), job.path("logs/moved")).expect("movable");
    protect(0o555);
    log(&job, "lost");
    assert!(job.read("errors").contains("cannot write log file `logs/x.log`: Permission denied"));
    protect(0o755);
    log(&job, "back");
    let file = job.read("logs/x.log");
    assert!(file.contains("INFO back\n") && !file.contains("INFO lost"), "{file}");
    stop(program);
}

#[test]
fn a_file_that_cannot_be_opened_at_start_is_an_error() {
    Job::create("logfile = job.ini/x.log").refuse(1, &["cannot write logfile `job.ini/x.log`"]);
}

#[test]
fn processes_share_a_file_that_is_rotated() {
    let job = Job::create("logfile = x.log\nlog_size = 2000\nlog_count = 100");
    job.write("lines", "");
    for process in 0..4 {
        let lines: String = (0..200).map(|line| format!("INFO test {process} {line}\n")).collect();
        job.write(&format!("lines{process}"), &lines);
    }
    let start = |process: usize| {
        let set = format!("lines=lines{process}");
        Running::start(&mut job.command(&["--set", &set]))
    };
    let mut processes: Vec<Running> = (0..4).map(start).collect();
    for process in &mut processes {
        assert_eq!(process.wait(), Some(0));
    }
    let mut found = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(job.folder.path()).expect("readable") {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        if name.starts_with("x.log") {
            files += 1;
            let text = job.read(&name);
            found.extend(text.lines().map(|line| line.split_once(" INFO ").expect(line).1.to_owned()));
        }
    }
    let mut expected: Vec<String> =
        (0..4).flat_map(|process| (0..200).map(move |line| format!("{process} {line}"))).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(files > 1);
}
