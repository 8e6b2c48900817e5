//! Pipes, devices and huge files in place of regular files: none blocks the program or exhausts its memory.

mod names;
mod roots;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::jobs::TestJob;
use crate::support::programs::{Running, errors, program, succeed};
use crate::support::wait_for;

/// Makes a pipe that nobody has open, and returns its name.
fn pipe(folder: &Path, name: &str) -> String {
    mkfifo(&folder.join(name), Mode::S_IRWXU).expect("made");
    name.to_owned()
}

/// Runs a command, which ends without any action of other processes.
#[track_caller]
fn ends(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for("the end", || {
        let ended = child.try_wait().expect("a child").is_some();
        if !ended {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
            let memory: u64 = memory.trim().trim_end_matches(" kB").parse().expect("a number");
            assert!(memory < 200_000, "{memory} kB");
        }
        ended
    });
    child.wait_with_output().expect("a child")
}

/// Runs a job, which fails with one line that holds `file` and `why`.
#[track_caller]
fn refuses(command: &mut Command, file: &str, why: &str) {
    let output = ends(command);
    let text = errors(&output);
    assert!(!output.status.success() && text.lines().count() == 1, "{text}");
    assert!(text.contains(file) && text.contains(why), "{text}");
}

#[test]
fn a_config_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let huge = folder.path().join("huge.ini");
    File::create(&huge).and_then(|file| file.set_len(4 << 30)).expect("sparse");
    for (file, why) in [
        (&*pipe(folder.path(), "pipe.ini"), "no process writes to the pipe"),
        ("/dev/zero", "it is not a regular file"),
        ("huge.ini", "it is larger than"),
        (".", "Is a directory"),
    ] {
        let mut command = Command::new(program("run_sql"));
        refuses(command.arg(file).current_dir(folder.path()), file, why);
    }
}

#[test]
fn a_config_file_may_be_a_pipe() {
    let job = TestJob::sql("select 1");
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        let script = script.replace("PROGRAM", program("run_sql").to_str().expect("a path"));
        succeed(command.arg("-c").arg(script).current_dir(job.path()).stdin(Stdio::null()));
    };
    shell("PROGRAM --set loop_delay=0 <(sleep 0.2; cat job.ini)");
    shell("cat job.ini | PROGRAM --set loop_delay=0 /dev/stdin");
    shell("PROGRAM --set loop_delay=0 /dev/stdin < job.ini");
    shell("mkfifo named; (sleep 0.2; cat job.ini > named) & PROGRAM --set loop_delay=0 named");
    assert!(job.count("{count: 1}") >= 4, "{}", job.log());
}

#[test]
fn a_skylog_file_or_pidfile_that_is_a_pipe_or_endless_blocks_no_program() {
    let job = TestJob::sql("select 1");
    let skylog = pipe(job.path(), "skylog.ini");
    for (file, why) in [(skylog.as_str(), "no skylog file"), ("/dev/zero", "no skylog file")] {
        job.write_ini(&format!("sql = select 1\nuse_skylog = 2\nskylog_locations = {file}\n"));
        refuses(&mut job.command(&[]), file, why);
    }
    pipe(job.path(), "x.pid");
    job.write_ini("sql = select 1\npidfile = x.pid\n");
    for switch in ["-k", "-s", "-r"] {
        refuses(&mut job.command(&[switch]), "x.pid", "not a regular file");
    }
    refuses(&mut job.command(&[]), "x.pid", "not a regular file");
}

#[test]
fn files_of_a_connection_that_are_pipes_or_endless_block_no_program() {
    let job = TestJob::sql("select 1");
    pipe(job.path(), "cert");
    for file in ["cert", "/dev/zero"] {
        for key in ["sslrootcert", "sslcert", "sslkey", "sslcrl"] {
            let path =
                if file == "cert" { job.path().join(file).display().to_string() } else { file.to_owned() };
            let server = "host=127.0.0.1 sslmode=verify-ca sslrootcert=";
            let more = if key == "sslkey" { " sslcert=cert" } else { "" };
            let db = format!("db = {server}{path}{more} {key}={path}");
            fs::write(
                job.path().join("tls.ini"),
                format!("[run_sql]\n{db}\nsql = select 1\nloop_delay = -1\n"),
            )
            .expect("writable");
            let mut command = Command::new(program("run_sql"));
            let output = ends(command.arg("tls.ini").current_dir(job.path()));
            assert!(!output.status.success() && errors(&output).contains(file), "{key}: {}", errors(&output));
        }
    }
    for (name, file) in [("PGSERVICEFILE", "cert"), ("PGSERVICEFILE", "/dev/zero")] {
        fs::write(job.path().join("svc.ini"), "[run_sql]\ndb = service=x\nsql = select 1\n")
            .expect("writable");
        let mut command = Command::new(program("run_sql"));
        let output = ends(command.env(name, file).arg("svc.ini").current_dir(job.path()));
        assert!(errors(&output).contains("not a regular file"), "{}", errors(&output));
    }
    for file in ["cert", "/dev/zero", "/dev/null"] {
        job.write_ini("sql = select 1\nloop_delay = 0\n");
        let output = ends(job.command(&[]).env("PGPASSFILE", file));
        assert!(output.status.success(), "{file}: {}", errors(&output));
    }
}

#[test]
fn a_log_file_that_is_a_pipe_blocks_no_program() {
    let job = TestJob::sql("select 1");
    let path = job.path().join("log");
    pipe(job.path(), "log");
    job.write_ini("sql = select 1\nlogfile = log\n");
    refuses(&mut job.command(&[]), "`log`", "the pipe has no reader");
    refuses(&mut job.command(&["-d"]), "`log`", "the pipe has no reader");
    // With a reader it is a place to log to, also when the reader does not read.
    let mut reader =
        OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path);
    let reader = reader.as_mut().expect("opened");
    let mut running = job.start(&["-v", "-v"]);
    let mut buffer = vec![0; 4096];
    wait_for("a line", || reader.read(&mut buffer).is_ok_and(|length| length > 0));
    running.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(running.wait(), Some(0));
    // Once more with lines that the pipe has no room for.
    fs::write(job.path().join("lines"), format!("INFO x {}\n", "x".repeat(1000)).repeat(1000))
        .expect("writable");
    let ini = "[log_lines]\nlines = lines\nloop_delay = 0\nlogfile = log\n";
    fs::write(job.path().join("lines.ini"), ini).expect("writable");
    let mut command = Command::new(program("log_lines"));
    let errors = File::create(job.path().join("errors")).expect("creatable");
    let mut running = Running::start_with(command.arg("lines.ini").current_dir(job.path()), errors);
    assert_eq!(running.wait(), Some(0));
    let received = fs::read_to_string(job.path().join("errors")).expect("readable");
    let warnings = received.lines().filter(|line| line.contains("WARNING")).count();
    assert!((1..=2).contains(&warnings), "{warnings} lines report lost ones");
}

#[test]
fn a_log_file_may_be_a_device() {
    let job = TestJob::sql("select 1");
    for file in ["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/full"] {
        job.write_ini(&format!("sql = select 1\nlogfile = {file}\nloop_delay = 0\n"));
        let output = ends(&mut job.command(&[]));
        assert!(output.status.success(), "{file}: {}", errors(&output));
    }
}

#[test]
fn a_pipe_that_a_writer_holds_open_has_a_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("pipe.ini");
    pipe(folder.path(), "pipe.ini");
    let mut command = Command::new(program("run_sql"));
    let mut running = Running::start(command.arg("pipe.ini").current_dir(folder.path()));
    let mut writer = OpenOptions::new().write(true).open(path).expect("the program reads");
    // More than any config file has.
    let written = (0..4096).try_for_each(|_| writer.write_all(&[b'\n'; 4096]));
    assert!(written.is_err(), "the program reads on and on");
    assert_eq!(running.wait(), Some(2));
}
