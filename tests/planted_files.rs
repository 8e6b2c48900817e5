//! Pidfiles and log files that other users have planted: they do not mislead a program with more rights.

mod folders;
mod position;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::unistd::Uid;

use crate::support::jobs::TestJob;
use crate::support::programs::{command_on, errors, succeed};
use crate::support::{queues, templates, wait_for};

const NOBODY: u32 = 65_534;

/// A process that does nothing, and is killed with this value.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        Sleeper(Command::new("sleep").arg("3600").stdout(Stdio::null()).spawn().expect("sleep runs"))
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // A process that has already ended needs no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a job whose pidfile and log are in a folder of others, and that folder.
fn job(mode: u32) -> (TestJob, PathBuf) {
    assert!(Uid::effective().is_root(), "these tests give files to other users, which takes root");
    let job = TestJob::sql("select 1");
    let folder = job.path().join("shared");
    fs::create_dir(&folder).expect("creatable");
    fs::set_permissions(job.path(), fs::Permissions::from_mode(0o755)).expect("own");
    fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("own");
    job.write_ini("sql = select 1\npidfile = shared/x.pid\nlogfile = shared/x.log\nloop_delay = 0\n");
    (job, folder)
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
}

/// Runs the program with every switch that could signal a process that it should not.
#[track_caller]
fn assert_refused(job: &TestJob, sleeper: &mut Sleeper) {
    assert_no_signal(job, sleeper, "shared/x.pid");
}

#[track_caller]
fn assert_no_signal(job: &TestJob, sleeper: &mut Sleeper, file: &str) {
    let expected = format!("WARNING no signal is sent: pidfile `{file}` is not trusted");
    for switch in ["-k", "-s", "-r"] {
        let output = job.command(&[switch]).output().expect("it starts");
        let text = errors(&output);
        assert!(text.contains(&expected), "{text}");
        assert!(text.lines().count() == 1 && output.status.code() == Some(1), "{text}");
    }
    assert!(sleeper.is_alive());
}

#[test]
fn a_pidfile_of_another_user_names_no_process_of_roots() {
    for mode in [0o1777, 0o755] {
        let (job, folder) = job(mode);
        let mut sleeper = Sleeper::start();
        let path = folder.join("x.pid");
        fs::write(&path, sleeper.0.id().to_string()).expect("writable");
        give_away(&path);
        assert_refused(&job, &mut sleeper);
        // Nor does a lock help that another process holds.
        let file = fs::File::open(&path).expect("there");
        file.lock().expect("free");
        let output = job.command(&["-k"]).output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        assert!(sleeper.is_alive());
    }
}

#[test]
fn a_link_to_a_pidfile_of_roots_is_not_followed() {
    let (job, folder) = job(0o1777);
    let mut sleeper = Sleeper::start();
    let other = job.path().join("other.pid");
    fs::write(&other, sleeper.0.id().to_string()).expect("writable");
    symlink(&other, folder.join("x.pid")).expect("made");
    std::os::unix::fs::lchown(folder.join("x.pid"), Some(NOBODY), None).expect("root may");
    assert_refused(&job, &mut sleeper);
    fs::remove_file(folder.join("x.pid")).expect("there");
    fs::hard_link(&other, folder.join("x.pid")).expect("made");
    assert_refused(&job, &mut sleeper);
    // A file that everybody may write is as good as another user's.
    fs::remove_file(&other).expect("there");
    fs::set_permissions(folder.join("x.pid"), fs::Permissions::from_mode(0o666)).expect("own");
    assert_refused(&job, &mut sleeper);
}

#[test]
fn an_own_pidfile_works_in_a_world_writable_folder() {
    let (job, folder) = job(0o1777);
    for switches in [&[][..], &["-d"]] {
        job.write_ini("sql = select 1\npidfile = shared/x.pid\nlogfile = shared/x.log\nloop_delay = 3600\n");
        let mut child = job.command(switches).stderr(Stdio::null()).spawn().expect("it starts");
        let pid = || fs::read_to_string(folder.join("x.pid")).is_ok_and(|text| text.ends_with('\n'));
        wait_for("the pidfile", pid);
        succeed(&mut job.command(&["-k"]));
        wait_for("the end", || !folder.join("x.pid").exists());
        assert!(child.wait().expect("a child").success());
    }
}

/// Runs the job, which must not touch the target of the link.
#[track_caller]
fn assert_untouched(job: &TestJob, victim: &Path, expected: &str) -> Output {
    let output = job.command(&[]).output().expect("it starts");
    let text = errors(&output);
    assert_eq!(fs::read_to_string(victim).expect("there"), "precious\n", "{text}");
    assert!(output.status.code() == Some(1) && text.contains(expected), "{text}");
    output
}

#[test]
fn no_link_of_another_user_leads_a_log_or_a_pidfile_elsewhere() {
    for (name, expected) in [
        ("x.log", "cannot write logfile `shared/x.log`: it is"),
        ("x.pid", "cannot use pidfile `shared/x.pid`: it "),
    ] {
        let (job, folder) = job(0o1777);
        let (victim, link) = (job.path().join("victim"), folder.join(name));
        fs::write(&victim, "precious\n").expect("writable");
        symlink(&victim, &link).expect("made");
        std::os::unix::fs::lchown(&link, Some(NOBODY), None).expect("root may");
        assert_untouched(&job, &victim, expected);
        fs::remove_file(&link).expect("there");
        fs::hard_link(&victim, &link).expect("made");
        assert_untouched(&job, &victim, &expected[..expected.len() - 3]);
        fs::remove_file(&link).expect("there");
        // In a folder of another user even a link of one's own is moved there by him.
        symlink(&victim, &link).expect("made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("own");
        give_away(&folder);
        assert_untouched(&job, &victim, expected);
    }
}

#[test]
fn links_that_only_the_administrator_can_have_made_are_followed() {
    let (job, folder) = job(0o755);
    fs::create_dir(job.path().join("real")).expect("creatable");
    symlink(job.path().join("real/x.log"), folder.join("x.log")).expect("made");
    succeed(&mut job.command(&[]));
    assert!(fs::read_to_string(job.path().join("real/x.log")).is_ok_and(|text| text.contains("count")));
}

#[test]
fn the_new_file_of_a_position_is_nobody_elses() {
    let (job, folder) = job(0o1777);
    let (database, mut client) = templates::prepared("trust");
    queues::create(&mut client, "q");
    let ini = format!(
        "[name_file]\ndb = {}\nqueue_name = q\nlocal_tracking_file = shared/x.tick\nname_file = names\nloop_delay = 0\n",
        database.conninfo()
    );
    fs::write(job.path().join("local.ini"), ini).expect("writable");
    let run = || {
        let mut command = command_on(database.server(), "name_file", job.path());
        command.args(["local.ini", "--set", "exception_sleep=0.05"]).output()
    };
    assert!(run().expect("it starts").status.success());
    let victim = job.path().join("victim");
    fs::write(&victim, "precious\n").expect("writable");
    symlink(&victim, folder.join("x.tick.new")).expect("made");
    std::os::unix::fs::lchown(folder.join("x.tick.new"), Some(NOBODY), None).expect("root may");
    pgq::insert_event(&mut client, "q", "t", "1").expect("inserted");
    queues::tick(&mut client, "q");
    let output = run().expect("it starts");
    assert_eq!(fs::read_to_string(&victim).expect("there"), "precious\n");
    let text = errors(&output);
    assert!(!output.status.success() && text.contains("a symbolic link of another user"), "{text}");
    fs::remove_file(folder.join("x.tick.new")).expect("there");
    assert!(run().expect("it starts").status.success());
}
