//! One process per pidfile: a file with the process's id, locked as long as the process lives.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::Error;

/// Process start times are known to the second only.
const START_PRECISION: Duration = Duration::from_secs(2);

/// A pidfile that this process holds.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    file: File,
    stale: Option<i32>,
}

impl Pidfile {
    /// Locks the file, creating it and its folder as needed.
    ///
    /// # Errors
    ///
    /// When another process is running, which is named, and when the file cannot be written.
    pub(crate) fn acquire(path: &Path) -> Result<Pidfile, Error> {
        loop {
            let mut file = open(path).map_err(|error| unusable(path, error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(running(path, read_pid(&mut file))),
                Err(TryLockError::Error(error)) => return Err(unusable(path, error)),
            }
            // Between open and lock its owner may have removed the file.
            if !is_same(&file, path) {
                continue;
            }
            let stale = read_pid(&mut file);
            // Programs that do not lock their pidfile are known by their process alone.
            if stale.is_some_and(|pid| !is_own(pid) && is_owner(pid, &file)) {
                return Err(running(path, stale));
            }
            return Ok(Pidfile { path: path.to_owned(), file, stale });
        }
    }

    /// Returns the id of a dead process that left the file behind.
    pub(crate) fn stale(&self) -> Option<i32> {
        self.stale
    }

    /// Writes the id of this process, which may be a child of the one that locked the file.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let text = format!("{}\n", std::process::id());
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.set_len(text.len() as u64))
            .map_err(|error| unusable(&self.path, error))
    }

    /// Returns what removes the file, for a process that ends without dropping it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let empty = self.file.metadata().is_ok_and(|meta| meta.len() == 0);
        let own = read_pid(&mut self.file).is_some_and(is_own);
        if (own || empty) && is_same(&self.file, &self.path) {
            // A file that cannot be removed is stale, which the next start sees.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What became of a signal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The process got it.
    ToProcess,
    /// There is no such file, so nothing runs.
    NoFile,
    /// The file's process is gone.
    Stale,
}

/// Sends a signal to the process that holds a pidfile.
pub(crate) fn send(path: &Path, signal: Signal) -> Result<Sent, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Sent::NoFile),
        Err(error) => return Err(unusable(path, error)),
    };
    let Some(pid) = read_pid(&mut file) else { return Ok(Sent::Stale) };
    let locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if !locked && !is_owner(pid, &file) {
        return Ok(Sent::Stale);
    }
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) => Ok(Sent::ToProcess),
        Err(Errno::ESRCH) => Ok(Sent::Stale),
        Err(error) => Err(Error::failed(format!(
            "cannot send {signal} to process {pid} of pidfile `{}`",
            path.display()
        ))
        .caused_by(error)),
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Tells whether an id is this process's: in a container, a restarted program often gets the same one.
fn is_own(pid: i32) -> bool {
    u32::try_from(pid).is_ok_and(|pid| pid == std::process::id())
}

/// Tells whether a live process wrote the file: one that started later only got the same id.
fn is_owner(pid: i32, file: &File) -> bool {
    let there = !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH));
    // A process that has ended stays visible until its parent has asked for its exit status.
    let ended = stat(pid).is_some_and(|stat| stat.starts_with(['Z', 'X']));
    let alive = there && !ended;
    let written = file.metadata().and_then(|meta| meta.modified());
    let younger = match (started(pid), written) {
        (Some(started), Ok(written)) => started > written + START_PRECISION,
        _ => false,
    };
    alive && !younger
}

/// Returns when a process started, where the system tells it.
fn started(pid: i32) -> Option<SystemTime> {
    let ticks: u64 = stat(pid)?.split(' ').nth(19)?.parse().ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(
        SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * 1000 / per_second),
    )
}

/// Returns what the system tells of a process, from its state on.
fn stat(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold anything.
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn running(path: &Path, pid: Option<i32>) -> Error {
    let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Error::failed(format!("already running: {who} holds pidfile `{}`", path.display()))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("cannot use pidfile `{}`", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
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
        // However old the file looks, a lock tells that its process lives.
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
    fn missing_and_unusable_files_are_told_apart() {
        let folder = folder();
        assert_eq!(send(&folder.path().join("none.pid"), Signal::SIGHUP).expect("no file"), Sent::NoFile);
        let error = Pidfile::acquire(folder.path()).expect_err("a folder");
        assert!(error.to_string().contains("cannot use pidfile"), "{error}");
    }
}
