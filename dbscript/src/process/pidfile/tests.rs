//! Files of live, dead and other processes.

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn the_file_holds_the_id_and_is_removed_by_its_owner() {
    let folder = folder();
    let path = folder.path().join("deep/er/x.pid");
    let mut pidfile = Pidfile::acquire(&path).expect("free");
    pidfile.write().expect("writable");
    assert_eq!(fs::read_to_string(&path).expect("there"), format!("{}\n", std::process::id()));
    let error = Pidfile::acquire(&path).expect_err("held");
    assert!(error.to_string().contains(&format!("process {} holds", std::process::id())), "{error}");
    // The lock shows that the process lives, however old the file is.
    pidfile.file.set_modified(SystemTime::UNIX_EPOCH).expect("settable");
    assert_eq!(send(&path, Signal::SIGCONT).expect("readable"), Sent::ToProcess);
    drop(pidfile);
    assert!(!path.exists());
    drop(Pidfile::acquire(&path).expect("free"));
    assert!(!path.exists(), "a file that was never written is removed too");
}

#[test]
fn a_stale_file_is_taken_over() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    let mut child = std::process::Command::new("true").spawn().expect("true runs");
    child.wait().expect("true ends");
    fs::write(&path, format!("{}\n", child.id())).expect("writable");
    assert_eq!(send(&path, Signal::SIGHUP).expect("readable"), Sent::Stale);
    let pidfile = Pidfile::acquire(&path).expect("stale");
    assert_eq!(pidfile.stale(), i32::try_from(child.id()).ok());
}

#[test]
fn a_live_process_without_a_lock_holds_the_file() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    fs::write(&path, nix::unistd::getppid().to_string()).expect("writable");
    assert!(Pidfile::acquire(&path).expect_err("alive").to_string().contains("already running"));
    fs::write(&path, std::process::id().to_string()).expect("writable");
    Pidfile::acquire(&path).expect("an earlier process of the same id");
}

#[test]
fn a_process_younger_than_the_file_is_not_its_owner() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    fs::write(&path, nix::unistd::getppid().to_string()).expect("writable");
    let file = File::options().write(true).open(&path).expect("there");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("settable");
    assert_eq!(send(&path, Signal::SIGTERM).expect("readable"), Sent::Stale);
    Pidfile::acquire(&path).expect("stale");
}

#[test]
fn a_process_that_ended_and_waits_for_its_parent_is_dead() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    let mut child = std::process::Command::new("true").spawn().expect("true runs");
    fs::write(&path, child.id().to_string()).expect("writable");
    let pid = i32::try_from(child.id()).expect("a process id");
    while !stat(pid).expect("not waited for yet").starts_with('Z') {
        std::thread::yield_now();
    }
    assert_eq!(send(&path, Signal::SIGTERM).expect("readable"), Sent::Stale);
    assert_eq!(Pidfile::acquire(&path).expect("stale").stale(), Some(pid));
    child.wait().expect("true has ended");
}

#[test]
fn a_process_that_only_checks_the_lock_is_waited_for() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    let checked = open(&path).expect("writable");
    checked.try_lock_shared().expect("free");
    thread::scope(|scope| {
        let start = scope.spawn(|| Pidfile::acquire(&path));
        thread::sleep(WAIT);
        drop(checked);
        start.join().expect("no panic").expect("nobody holds it");
    });
}

#[test]
fn a_process_that_has_another_number_here_gets_no_signal() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    let _held = Pidfile::acquire(&path).expect("free");
    for pid in [nix::unistd::getppid().as_raw(), i32::MAX] {
        fs::write(&path, pid.to_string()).expect("writable");
        let error = send(&path, Signal::SIGCONT).expect_err("not the owner");
        assert!(error.to_string().contains(&format!("held by a process that is not {pid} here")), "{error}");
    }
}

#[test]
fn the_remover_leaves_the_files_of_others() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    let pidfile = Pidfile::acquire(&path).expect("free");
    let remove = pidfile.remover();
    fs::rename(&path, folder.path().join("y.pid")).expect("renamed");
    fs::write(&path, "1").expect("writable");
    remove();
    assert!(path.exists());
    fs::rename(folder.path().join("y.pid"), &path).expect("renamed");
    remove();
    assert!(!path.exists());
}

#[test]
fn a_pipe_is_refused() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let error = Pidfile::acquire(&path).expect_err("a pipe");
    assert_eq!(
        crate::error::describe(&error),
        format!("cannot use pidfile `{}`: not a regular file", path.display())
    );
    assert!(path.exists());
}

#[test]
fn missing_and_unusable_files_are_distinguished() {
    let folder = folder();
    assert_eq!(send(&folder.path().join("none.pid"), Signal::SIGHUP).expect("no file"), Sent::NoFile);
    let error = Pidfile::acquire(folder.path()).expect_err("a folder");
    assert!(error.to_string().contains("cannot use pidfile"), "{error}");
}

#[test]
fn the_first_process_and_this_one_get_no_signal_without_the_lock() {
    let folder = folder();
    let path = folder.path().join("x.pid");
    // A container leaves this file behind.
    fs::write(&path, "1\n").expect("writable");
    let sent = send(&path, Signal::SIGCONT).expect("readable");
    assert_eq!(sent, Sent::Refused("process 1 does not hold its lock".to_owned()));
    fs::write(&path, std::process::id().to_string()).expect("writable");
    assert_eq!(send(&path, Signal::SIGCONT).expect("readable"), Sent::Stale);
}
