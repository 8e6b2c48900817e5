//! The process that runs the server and cleans up after it.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use nix::unistd::{User, geteuid};

/// The script of a PostgreSQL server.
pub(crate) const SERVER: &str = include_str!("watchdog.sh");
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")];
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// The folder of a file system in memory, on which thousands of small files cost a tenth of the time.
const MEMORY: &str = "/dev/shm";
/// The servers of a whole run need less.
const LEAST_ROOM: u64 = 4 << 30;
/// A socket's path may have 107 bytes; `/pgq.XXXXXX/.s.PGSQL.NNNNN` follows this part of it.
const LONGEST_BASE: usize = 80;

/// The location of a server's files.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    /// In memory if there is enough of it.
    Memory,
    Disk,
}

/// A shell process that runs the server, and outlives this process for as long as it takes to clean up.
pub(crate) struct Watchdog {
    process: Child,
    /// The only write end of the pipe; the standard library marks it close-on-exec.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watchdog {
    /// Starts a script as the watchdog of the server in `bindir`, and returns it with the folder that it created.
    pub(crate) fn spawn(script: &str, bindir: &Path, place: Place) -> io::Result<(Watchdog, PathBuf)> {
        let mut process = command(script, bindir, place)?.spawn()?;
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("the output was set to a pipe"));
        let mut watchdog = Watchdog { process, commands, answers };
        let dir = watchdog.answer()?;
        Ok((watchdog, PathBuf::from(dir)))
    }

    /// Has a command carried out, and returns when that is done.
    pub(crate) fn order(&mut self, command: &str) -> io::Result<()> {
        let pipe = self.commands.as_mut().expect("the pipe stays open until the value is dropped");
        writeln!(pipe, "{command}")?;
        match self.answer()?.as_str() {
            "ok" => Ok(()),
            answer => Err(io::Error::other(answer)),
        }
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.commands = None;
        let deadline = Instant::now() + REMOVAL_LIMIT;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

fn command(script: &str, bindir: &Path, place: Place) -> io::Result<Command> {
    let mut command = Command::new("setsid");
    command.args(["/bin/sh", "-c", r#"eval "$SCRIPT""#, "pgq-watchdog"]).arg(bindir).args(bases(place));
    command.current_dir("/").env_clear().envs(ENVIRONMENT).env("SCRIPT", script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(user) = unprivileged_user()? {
        // The standard library also clears the supplementary groups when root changes the user.
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(command)
}

/// Returns the user to run the server as, which refuses to run as root; none for the calling user.
fn unprivileged_user() -> io::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    Err(io::Error::other("neither a user `postgres` nor `nobody` to run it as"))
}

/// Returns the folders in which to try to create the watchdog's, the best first.
fn bases(place: Place) -> Vec<PathBuf> {
    let fits = |base: &PathBuf| base.is_absolute() && base.as_os_str().len() <= LONGEST_BASE;
    let memory = (place == Place::Memory && has_room(MEMORY)).then(|| PathBuf::from(MEMORY));
    memory.into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]).filter(fits).collect()
}

fn has_room(folder: &str) -> bool {
    statvfs(folder).is_ok_and(|room| room.blocks_available() * room.fragment_size() >= LEAST_ROOM)
}
