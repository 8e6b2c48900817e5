//! Pidfiles: a file with the process id, locked while the process lives, so that one process runs per pidfile.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::error::Error;
use crate::files;

/// The precision of process start times and file times.
const START_PRECISION: Duration = Duration::from_secs(2);

/// The bit of a mode by which everybody may write.
const WORLD_WRITABLE: u32 = 0o002;

/// The id of the first process of a system or a container. The pidfile of a container may be visible outside of it.
const INIT: i32 = 1;

/// The number and the length of the waits for an owner that holds the lock and has not written its id yet.
const WAITS: u32 = 20;
const WAIT: Duration = Duration::from_millis(10);

/// A pidfile whose lock this process holds.
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
    /// Fails if another process holds the file, with that process's id, and if the file cannot be written.
    pub(crate) fn acquire(path: &Path) -> Result<Pidfile, Error> {
        let mut waits = 0;
        loop {
            let mut file = open(path).map_err(|error| unusable(path, error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let owner = read_pid(&mut file).filter(|pid| is_owner(*pid, &file));
                    if owner.is_some() || waits == WAITS {
                        return Err(running(path, owner));
                    }
                    // The owner is about to write its id, or another process is only checking the lock.
                    waits += 1;
                    thread::sleep(WAIT);
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(unusable(path, error)),
            }
            // The previous owner may have removed the file between `open` and `try_lock`.
            if !is_same(&file, path) {
                continue;
            }
            let stale = read_pid(&mut file);
            // Other programs do not lock their pidfile; a live process with that id holds it.
            if stale.is_some_and(|pid| !is_own(pid) && is_owner(pid, &file)) {
                return Err(running(path, stale));
            }
            return Ok(Pidfile { path: path.to_owned(), file, stale });
        }
    }

    /// Returns the id of the dead process that left the file, if any.
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

    /// Returns the file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a function that removes the file if the path still refers to it. A process that exits without dropping
    /// the pidfile calls the function.
    pub(crate) fn remover(&self) -> impl Fn() + Send + use<> {
        let (path, held) = (self.path.clone(), self.file.metadata().ok());
        move || {
            if held.as_ref().is_some_and(|held| is_at(held, &path)) {
                // A file that cannot be removed is stale, and the next start ignores it.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let empty = self.file.metadata().is_ok_and(|meta| meta.len() == 0);
        let own = read_pid(&mut self.file).is_some_and(is_own);
        if (own || empty) && is_same(&self.file, &self.path) {
            // A file that cannot be removed is stale, and the next start ignores it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The outcome of sending a signal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The signal was sent to the process.
    ToProcess,
    /// The pidfile does not exist, so no process is running.
    NoFile,
    /// The process of the pidfile has ended.
    Stale,
    /// The pidfile is not trusted, for the contained reason.
    Refused(String),
}

/// Sends a signal to the process that holds a pidfile. A user who can write to the file can direct the signal only to
/// that user's own processes.
pub(crate) fn send(path: &Path, signal: Signal) -> Result<Sent, Error> {
    let mut file = match files::open_trusted(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Sent::NoFile),
        Err(error) if is_refusal(&error) => return Ok(Sent::Refused(error.to_string())),
        Err(error) => return Err(unusable(path, error)),
    };
    let metadata = file.metadata().and_then(regular).map_err(|error| unusable(path, error))?;
    let Some(pid) = read_pid(&mut file) else { return Ok(Sent::Stale) };
    let is_locked = || matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if !is_locked() {
        if is_own(pid) || !is_owner(pid, &file) {
            return Ok(Sent::Stale);
        }
        if pid == INIT {
            return Ok(Sent::Refused(format!("process {pid} does not hold its lock")));
        }
        if !files::is_trusted(metadata.uid()) || metadata.mode() & WORLD_WRITABLE != 0 {
            return Ok(Sent::Refused(format!(
                "another user may have written it, and process {pid} does not hold its lock"
            )));
        }
    } else if is_holder(pid, &file) == Some(false) {
        return if is_locked() { Err(held_by_other(path, pid)) } else { Ok(Sent::Stale) };
    }
    if !files::is_trusted(metadata.uid()) && user(pid) != Some(metadata.uid()) {
        return Ok(Sent::Refused(format!("it belongs to another user than process {pid}")));
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
    files::create_folder_of(path)?;
    let mut options = OpenOptions::new();
    let file = files::open_trusted(path, options.read(true).write(true).create(true).truncate(false))?;
    // Dropping a `Pidfile` removes the file, which must not be a device.
    file.metadata().and_then(regular)?;
    Ok(file)
}

fn regular(metadata: Metadata) -> std::io::Result<Metadata> {
    if metadata.is_file() { Ok(metadata) } else { Err(std::io::Error::other("not a regular file")) }
}

/// Returns true if an error is a refusal of [`files::open_trusted`] and not an error of the system.
fn is_refusal(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Returns the user of a process, or root for a process that has changed its rights.
fn user(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|process| process.uid())
}

fn read_pid(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Returns true if an id is that of this process. In a container, a restarted program often has its former id.
fn is_own(pid: i32) -> bool {
    u32::try_from(pid).is_ok_and(|pid| pid == std::process::id())
}

/// Returns true if a process is alive and has written the file. A process that started later only has the same id.
fn is_owner(pid: i32, file: &File) -> bool {
    let there = !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH));
    // An ended process stays visible until its parent has read its exit status.
    let ended = stat(pid).is_some_and(|stat| stat.starts_with(['Z', 'X']));
    let alive = there && !ended;
    let written = file.metadata().and_then(|meta| meta.modified());
    let younger = match (started(pid), written) {
        (Some(started), Ok(written)) => started > written + START_PRECISION,
        _ => false,
    };
    alive && !younger
}

/// Returns the start time of a process, if the system reports it.
fn started(pid: i32) -> Option<SystemTime> {
    let ticks: u64 = stat(pid)?.split(' ').nth(19)?.parse().ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(
        SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * 1000 / per_second),
    )
}

/// Returns the fields of `/proc/PID/stat` from the process's state on.
fn stat(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may contain spaces and parentheses.
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
}

/// Returns true if a process holds the lock on a file, or `None` if the system does not report it.
fn is_holder(pid: i32, file: &File) -> Option<bool> {
    let held = file.metadata().ok()?;
    let has_lock = |number: &std::ffi::OsStr| {
        let info = fs::read_to_string(Path::new(&format!("/proc/{pid}/fdinfo")).join(number));
        info.map_or(true, |info| info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")))
    };
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(open) => Some(open.flatten().any(|one| is_at(&held, &one.path()) && has_lock(&one.file_name()))),
        Err(error) if error.kind() == ErrorKind::NotFound && Path::new("/proc/self/fd").exists() => {
            Some(false)
        }
        Err(_) => None,
    }
}

fn is_same(file: &File, path: &Path) -> bool {
    file.metadata().is_ok_and(|held| is_at(&held, path))
}

fn is_at(held: &Metadata, path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| (held.dev(), held.ino()) == (there.dev(), there.ino()))
}

fn running(path: &Path, pid: Option<i32>) -> Error {
    let owner = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Error::failed(format!("already running: {owner} holds pidfile `{}`", path.display()))
}

/// Makes the error of a pidfile whose owner has another id here, as a process in another container has.
fn held_by_other(path: &Path, pid: i32) -> Error {
    Error::failed(format!(
        "pidfile `{}` is held by a process that is not {pid} here: the process is starting, or runs in another container",
        path.display()
    ))
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("cannot use pidfile `{}`", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests;
