//! One process per pidfile, signals at any moment, and daemons.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::support::jobs::TestJob;
use crate::support::programs::{Running, errors, succeed};
use crate::support::wait_for;

const PATIENT: &str = "sql = select 1\nloop_delay = 3600\n";

#[test]
fn of_two_starts_at_the_same_instant_exactly_one_runs() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    for attempt in 0..200 {
        let mut both = [(); 2].map(|()| Running::start(&mut job.command(&[])));
        wait_for("one to give up", || both.iter_mut().any(|one| !one.is_running()));
        if both[0].is_running() {
            both.swap(0, 1);
        }
        let [loser, winner] = &mut both;
        assert_eq!(loser.wait(), Some(1), "attempt {attempt}");
        wait_for("the other to own the pidfile", || job.pid() == Some(winner.pid()));
        winner.signal(Signal::SIGINT);
        assert_eq!(winner.wait(), Some(0), "attempt {attempt}");
    }
    assert!(!job.path().join("job.pid").exists());
}

#[test]
fn of_two_daemons_at_the_same_instant_exactly_one_runs() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    for attempt in 0..20 {
        let parents = [(); 2].map(|()| job.command(&["-d"]).stderr(Stdio::null()).spawn().expect("starts"));
        let mut statuses = parents.map(|mut parent| parent.wait().expect("ends").code());
        statuses.sort();
        assert_eq!(statuses, [Some(0), Some(1)], "attempt {attempt}");
        assert!(job.pid().is_some());
        succeed(&mut job.command(&["-k"]));
        wait_for("the end", || job.pid().is_none());
    }
}

#[test]
fn a_daemon_has_no_terminal_and_a_session_of_its_own() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    let output = succeed(&mut job.command(&["-d"]));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let pid = job.pid().expect("the daemon is up");
    for number in 0..3 {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is there");
        assert_eq!(link.to_str(), Some("/dev/null"));
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after = stat.rsplit_once(") ").expect("a name").1;
    let session: i32 = after.split(' ').nth(3).and_then(|session| session.parse().ok()).expect("a number");
    assert_eq!(session, pid);
    succeed(&mut job.command(&["-s"]));
    wait_for("the end", || job.pid().is_none());
    job.wait_for("INFO stopped");
}

#[test]
fn a_daemon_that_does_not_start_reports_the_reason() {
    let check = |lines: &str, status: i32, expected: &str| {
        let job = TestJob::sql("");
        File::create(job.path().join("file")).expect("created");
        job.write_ini(&format!("sql = select 1\n{lines}"));
        let output = job.command(&["-d"]).output().expect("starts");
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.lines().count() == 1 && text.contains(expected), "{text}");
        assert!(job.pid().is_none());
    };
    check("pidfile =\n", 2, "-d requires `pidfile`");
    check("pidfile = file/x.pid\n", 1, "file/x.pid");
    check("logfile = file/x.log\n", 1, "cannot write logfile `file/x.log`");
    check("loop_delay = soon\n", 2, "invalid value `soon` of key loop_delay");
}

/// Starts a job in a certain state, sends a signal, and returns how it ended.
fn ended_by(job: &TestJob, signal: Signal, ready: impl FnMut() -> bool) -> (Option<i32>, bool) {
    let mut running = job.start(&[]);
    wait_for("the state for the signal", ready);
    running.signal(signal);
    (running.wait(), job.path().join("job.pid").exists())
}

const ENDING: [Signal; 2] = [Signal::SIGINT, Signal::SIGTERM];

#[test]
fn signals_end_a_sleep() {
    for signal in ENDING {
        let job = TestJob::sql("");
        job.write_ini(PATIENT);
        assert_eq!(ended_by(&job, signal, || job.log().contains("{count: 1}")), (Some(0), false));
    }
    // As the sleep after a failed round.
    for signal in ENDING {
        let job = TestJob::sql("");
        job.write_ini("sql = select 1/0\nexception_sleep = 3600\n");
        assert_eq!(ended_by(&job, signal, || job.log().contains("division by zero")), (Some(0), false));
    }
}

/// Returns whether the statement that never ends is running.
fn is_busy(job: &TestJob) -> bool {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() \
               and state = 'active' and query like 'select pg_sleep%'";
    job.client().query_one(sql, &[]).expect("readable").get::<_, i64>(0) > 0
}

#[test]
fn a_kill_ends_a_statement() {
    let job = TestJob::sql("select pg_sleep(3600)");
    assert_eq!(ended_by(&job, Signal::SIGTERM, || is_busy(&job)), (Some(0), false));
    wait_for("the statement to end on the server", || !is_busy(&job));
    assert_eq!(job.count("ERROR"), 0, "{}", job.log());
}

#[test]
fn a_stop_lets_a_statement_end_and_a_second_one_does_not() {
    let job = TestJob::sql("select pg_sleep(3600)");
    let mut running = job.start(&[]);
    wait_for("the statement", || is_busy(&job));
    running.signal(Signal::SIGINT);
    job.wait_for("got SIGINT, finishing the current round");
    assert!(running.is_running() && is_busy(&job));
    wait_for("the end after two within a second", || {
        if running.is_running() {
            running.signal(Signal::SIGINT);
        }
        !running.is_running()
    });
    assert_eq!(running.wait(), Some(0));
    assert_eq!(job.pid(), None);
}

#[test]
fn signals_end_an_attempt_to_connect() {
    // A server that takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("bound").port();
    for signal in ENDING {
        let job = TestJob::sql_at(&format!("host=127.0.0.1 port={port} dbname=x user=x"), "select 1");
        let mut accepted = None;
        let ended = ended_by(&job, signal, || {
            accepted = Some(silent.accept().expect("the program connects"));
            true
        });
        assert_eq!(ended, (Some(0), false), "{}", job.log());
        assert_eq!(job.count("ERROR"), 0, "{}", job.log());
    }
}

#[test]
fn a_reload_between_rounds_takes_the_new_statement() {
    let job = TestJob::sql("");
    job.write_ini("sql = insert into seen values ('old')\nloop_delay = 3600\n");
    let mut client = job.client();
    client.batch_execute("create table seen (name text)").expect("created");
    let mut seen = |name: &str| {
        let sql = "select count(*) from seen where name = $1";
        client.query_one(sql, &[&name]).expect("readable").get::<_, i64>(0)
    };
    let _running = job.start(&[]);
    wait_for("the first round", || seen("old") == 1);
    job.write_ini("sql = insert into seen values ('new')\nloop_delay = 3600\n");
    succeed(&mut job.command(&["-r"]));
    wait_for("the round after the reload", || seen("new") == 1);
    assert_eq!(seen("old"), 1);
}

/// Writes a pidfile as a process would have done an hour ago.
fn old_pidfile(job: &TestJob, pid: u32) {
    let path = job.path().join("job.pid");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("writable");
    writeln!(file, "{pid}").expect("written");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("set");
}

#[test]
fn a_pidfile_whose_number_belongs_to_another_program_by_now_is_stale() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    let mut other = Running::start(Command::new("sleep").arg("3600"));
    old_pidfile(&job, u32::try_from(other.pid()).expect("positive"));

    for switch in ["-s", "-k", "-r"] {
        let output = succeed(&mut job.command(&[switch]));
        assert!(errors(&output).contains("pidfile `job.pid` is stale"), "{}", errors(&output));
        assert_eq!(errors(&output).lines().count(), 1);
    }
    assert!(other.is_running());

    let running = job.start(&[]);
    job.wait_for(&format!("ignoring the stale pidfile `job.pid` of process {}", other.pid()));
    assert_eq!(job.pid(), Some(running.pid()));
    assert!(other.is_running());
}

#[test]
fn a_pidfile_of_a_dead_process_is_stale_and_one_of_a_live_one_is_not() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    let mut dead = Running::start(&mut Command::new("true"));
    dead.wait();
    old_pidfile(&job, u32::try_from(dead.pid()).expect("positive"));
    let mut first = job.start(&[]);

    let second = job.command(&[]).output().expect("starts");
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("already running: process {} holds pidfile `job.pid`", first.pid());
    assert!(errors(&second).contains(&expected), "{}", errors(&second));
    assert_eq!(job.pid(), Some(first.pid()), "the second one took the pidfile");

    // Killed, it leaves its pidfile behind.
    first.kill();
    assert_eq!(job.pid(), Some(first.pid()));
    let again = job.start(&[]);
    assert_eq!(job.pid(), Some(again.pid()));
}

#[test]
fn only_its_owner_removes_a_pidfile() {
    let job = TestJob::sql("");
    job.write_ini(PATIENT);
    let mut running = job.start(&[]);
    let pidfile = job.path().join("job.pid");
    fs::remove_file(&pidfile).expect("removable");
    fs::write(&pidfile, "1\n").expect("writable");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait(), Some(0));
    assert_eq!(fs::read_to_string(pidfile).expect("still there"), "1\n");
}

#[test]
fn control_switches_reach_the_process() {
    for (switch, said) in [("-s", "got SIGINT"), ("--stop", "got SIGINT"), ("-k", "got SIGTERM")] {
        let job = TestJob::sql("");
        job.write_ini(PATIENT);
        let mut running = job.start(&[]);
        succeed(&mut job.command(&[switch]));
        assert_eq!(running.wait(), Some(0));
        assert!(job.log().contains(said));
    }
    let job = TestJob::sql("");
    let check = |expected: &str| {
        for switch in ["-r", "-s", "-k"] {
            let output = succeed(&mut job.command(&[switch]));
            assert!(errors(&output).contains(expected), "{}", errors(&output));
        }
    };
    let path = job.path().join("job.pid");
    check(&format!(
        "WARNING no pidfile `{}`: the process is not running, or was started in another folder",
        path.display()
    ));
    job.write_ini(&format!("sql = select 1\npidfile = {}\n", path.display()));
    check(&format!("WARNING no pidfile `{}`: the process is not running\n", path.display()));
    job.write_ini("sql = select 1\npidfile =\n");
    check("WARNING no pidfile in the config file, nothing to do");
}

#[test]
fn levels_follow_the_switches() {
    let job = TestJob::sql("");
    job.write_ini("sql = select 1\nunknown_key = 1\nloop_delay = 0\n");
    let said = |switches: &[&str]| errors(&succeed(&mut job.command(switches)));
    assert!(said(&["-q"]).contains("WARNING unknown key `unknown_key`") && !said(&["-q"]).contains("INFO"));
    assert!(said(&[]).contains("INFO {count: 1}"));
    assert!(!said(&[]).contains(" DEBUG "));
    for verbose in [&["-v"], &["--verbose"], &["-vv"]] {
        assert!(said(verbose).contains(" DEBUG db: connecting to database `"), "{verbose:?}");
    }
}

#[test]
fn help_version_and_the_sample_file_need_no_file() {
    let job = TestJob::sql("");
    let said = |switch: &str| {
        let output = succeed(&mut job.command(&[switch]));
        String::from_utf8(output.stdout).expect("text")
    };
    for switch in ["-h", "--help"] {
        let help = said(switch);
        for word in
            ["--quiet", "--verbose", "--daemon", "--version", "--ini", "--set", "-r", "-s", "-k", "SIGHUP"]
        {
            assert!(help.contains(word), "{word} is not in {help}");
        }
    }
    for switch in ["-V", "--version"] {
        assert_eq!(said(switch), format!("run_sql {}\n", env!("CARGO_PKG_VERSION")));
    }
    assert!(said("--ini").starts_with("[run_sql]\n"));
}

#[test]
fn the_manual_page_has_every_switch_and_every_key() {
    let job = TestJob::sql("");
    let said = |switch: &str| String::from_utf8(succeed(&mut job.command(&[switch])).stdout).expect("text");
    let page = said("--man").replace("\\-", "-");
    let help = said("--help");
    let switches = help.split(|c: char| c.is_whitespace() || c == ',').filter(|word| word.starts_with("--"));
    let sample = said("--ini");
    let keys = sample.lines().filter_map(|line| Some(line.trim_start_matches('#').split_once(" =")?.0));
    let mut count = 0;
    for word in switches.map(|switch| switch.trim_end_matches('.')).chain(keys) {
        assert!(page.contains(word), "{word} is not in {page}");
        count += 1;
    }
    assert!(count > 20, "{count} words");
}

#[test]
fn bash_completes_the_switches() {
    let job = TestJob::sql("");
    let script = succeed(&mut job.command(&["--completions", "bash"])).stdout;
    fs::write(job.path().join("completions"), script).expect("writable");
    let complete = "source ./completions; COMP_WORDS=(run_sql --da); COMP_CWORD=1; \
                    _run_sql run_sql --da run_sql; echo \"${COMPREPLY[@]}\"";
    let output = succeed(Command::new("bash").args(["-c", complete]).current_dir(job.path()));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "--daemon\n");
    let unknown = job.command(&["--completions", "tcsh"]).output().expect("starts");
    assert_eq!(unknown.status.code(), Some(2));
}
