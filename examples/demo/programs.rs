//! The project's programs, run as child processes in a separate folder.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dbscript::BoxError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt::unblocked;
use crate::server::Server;

/// The time-out for stopping a program.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// The number of shown lines of a failed program's log.
const LOG_LINES: usize = 5;

/// Returns the folder of the programs, which contains that of the examples.
///
/// # Errors
///
/// When a program is missing, with the command that builds it.
pub(crate) fn find(names: &[&str]) -> Result<PathBuf, BoxError> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).ok_or("the demo has no folder")?.to_owned();
    match names.iter().find(|name| !folder.join(name).is_file()) {
        None => Ok(folder),
        Some(name) => {
            let release = if cfg!(debug_assertions) { "" } else { " --release" };
            let missing = format!("no program `{name}` in `{}`", folder.display());
            Err(format!("{missing}: run `cargo build{release} --package pgq_programs` first").into())
        }
    }
}

/// Runs programs in a folder that the server's watchdog removes together with the server.
pub(crate) struct Programs {
    bin: PathBuf,
    folder: PathBuf,
    environment: [(&'static str, String); 3],
    /// The command that lets the kernel end a program when this process dies. Empty where the command does not exist.
    death_signal: &'static [&'static str],
}

impl Programs {
    /// Creates the folder for the programs in `bin`.
    pub(crate) fn new(bin: PathBuf, server: &Server) -> Result<Programs, BoxError> {
        let folder = server.dir().join("demo");
        let owner = fs::metadata(server.dir())?;
        // The watchdog runs as the server's user, and can remove only the files of that user.
        for path in [folder.clone(), folder.join("log"), folder.join("pid")] {
            fs::create_dir(&path)?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        let environment = [
            ("PGHOST", server.socket_dir().display().to_string()),
            ("PGPORT", server.port().to_string()),
            ("PGUSER", "postgres".to_owned()),
        ];
        Ok(Programs { bin, folder, environment, death_signal: death_signal() })
    }

    /// Returns the shell commands that select the folder and the server.
    pub(crate) fn environment(&self) -> String {
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let variables: Vec<String> = variables.collect();
        format!("cd {}; export {}", self.folder.display(), variables.join(" "))
    }

    /// Writes a config file.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<(), BoxError> {
        Ok(fs::write(self.folder.join(file), text)?)
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// When the program fails, with the end of its log.
    pub(crate) fn run(&self, command: &[&str]) -> Result<(), BoxError> {
        self.start(command)?.wait()
    }

    /// Starts a program in the background.
    pub(crate) fn start(&self, command: &[&str]) -> Result<Running, BoxError> {
        let name = command.join(" ");
        let log = self.folder.join(format!("{}.out", name.replace(' ', "-")));
        let output = File::create(&log)?;
        let program = self.bin.join(command[0]).into_os_string();
        let mut line: Vec<OsString> = self.death_signal.iter().map(OsString::from).collect();
        line.push(program);
        line.extend(command[1..].iter().map(OsString::from));
        let mut process = Command::new(&line[0]);
        process.args(&line[1..]).current_dir(&self.folder);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                process.env_remove(variable);
            }
        }
        process.envs(self.environment.iter().map(|(name, value)| (name, value)));
        process.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child =
            unblocked(|| process.spawn())?.map_err(|error| format!("cannot run `{name}`: {error}"))?;
        Ok(Running { name, child, log })
    }
}

/// A running program. Dropping the value ends the program.
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Fails when the program has ended.
    pub(crate) fn check(&mut self) -> Result<(), BoxError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Waits until the program has ended. Fails when it fails or does not end within 20 seconds.
    pub(crate) fn wait(&mut self) -> Result<(), BoxError> {
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                None => thread::sleep(POLL),
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
            }
        }
        Err(self.failure("does not end"))
    }

    /// Returns the sum of the durations of a consumer's batches in seconds, according to its log.
    pub(crate) fn busy(&self) -> f64 {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(duration).fold(0.0, |sum, seconds| sum + seconds)
    }

    /// Makes the error of a failed program, with the end of its log.
    pub(crate) fn failure(&self, reason: &str) -> BoxError {
        Failure { text: format!("`{}` {reason}", self.name), log: tail(&self.log) }.into()
    }

    fn ended(&self, status: ExitStatus) -> BoxError {
        match (status.code(), status.signal()) {
            (Some(code), _) => self.failure(&format!("ended with status {code}")),
            (None, Some(signal)) => self.failure(&format!("was ended by signal {signal}")),
            (None, None) => self.failure("ended"),
        }
    }
}

/// The failure of a program.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    /// The last lines of its log.
    pub(crate) log: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // A process that has ended needs no signal. A process that does not end is killed below.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Returns the last lines of a log, indented.
fn tail(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    lines[skipped..].iter().map(|line| format!("    {line}\n")).collect()
}

/// Returns the prefix of a command that lets the kernel send SIGTERM to it when this process dies, even by SIGKILL.
fn death_signal() -> &'static [&'static str] {
    const PREFIX: [&str; 3] = ["setpriv", "--pdeathsig", "TERM"];
    let works = Command::new(PREFIX[0])
        .args(&PREFIX[1..])
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works { &PREFIX } else { &[] }
}

/// Returns the duration in a line of statistics.
fn duration(line: &str) -> Option<f64> {
    line.split_once("duration: ")?.1.split([',', '}']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_found_before_other_figures() {
        assert_eq!(duration("INFO {count: 2, duration: 0.0260}"), Some(0.026));
        assert_eq!(duration("INFO {count: 2, duration: 0.0260, idle: 3.1}"), Some(0.026));
        assert_eq!(duration("INFO stopped"), None);
    }
}
