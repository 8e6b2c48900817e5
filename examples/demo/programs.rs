//! The project's programs, run as child processes in a folder of their own.

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

/// How long a program that was asked to stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// How much of a failed program's log is shown.
const LOG_LINES: usize = 5;

/// Returns the folder of the programs: that of this one.
///
/// # Errors
///
/// Names the command that builds them when one is missing.
pub(crate) fn find(names: &[&str]) -> Result<PathBuf, BoxError> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or("the demo has no folder")?.to_owned();
    match names.iter().find(|name| !folder.join(name).is_file()) {
        None => Ok(folder),
        Some(name) => {
            let release = if cfg!(debug_assertions) { "" } else { " --release" };
            let missing = format!("no program `{name}` in `{}`", folder.display());
            Err(format!("{missing}: run `cargo build{release} --examples` first").into())
        }
    }
}

/// Runs programs in a folder that the server's watchdog removes together with the server.
pub(crate) struct Programs {
    bin: PathBuf,
    folder: PathBuf,
    environment: [(&'static str, String); 3],
    /// What has the kernel end a program when this process dies, if the system has it.
    leash: &'static [&'static str],
}

impl Programs {
    /// Creates the folder for programs that are in `bin`.
    pub(crate) fn new(bin: PathBuf, server: &Server) -> Result<Programs, BoxError> {
        let folder = server.dir().join("demo");
        let owner = fs::metadata(server.dir())?;
        // As the server's user, who is not root, the watchdog can remove only what that user owns.
        for path in [folder.clone(), folder.join("log"), folder.join("pid")] {
            fs::create_dir(&path)?;
            chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        }
        let environment = [
            ("PGHOST", server.socket_dir().display().to_string()),
            ("PGPORT", server.port().to_string()),
            ("PGUSER", "postgres".to_owned()),
        ];
        Ok(Programs { bin, folder, environment, leash: leash() })
    }

    /// Returns the commands that lead a shell to the folder and the server.
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
    /// When it fails; shows what it said.
    pub(crate) fn run(&self, command: &[&str]) -> Result<(), BoxError> {
        self.start(command)?.wait()
    }

    /// Starts a program beside this one.
    pub(crate) fn start(&self, command: &[&str]) -> Result<Running, BoxError> {
        let name = command.join(" ");
        let log = self.folder.join(format!("{}.out", name.replace(' ', "-")));
        let output = File::create(&log)?;
        let program = self.bin.join(command[0]).into_os_string();
        let mut line: Vec<OsString> = self.leash.iter().map(OsString::from).collect();
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

/// A running program, ended when it is dropped.
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

    /// Waits until the program has ended, and fails when it did not end well or not in time.
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

    /// Adds up how many seconds a consumer spent on its batches, by its log.
    pub(crate) fn busy(&self) -> f64 {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(duration).fold(0.0, |sum, seconds| sum + seconds)
    }

    /// Makes the error that the program has a fault, with the end of its log.
    pub(crate) fn failure(&self, fault: &str) -> BoxError {
        Failure { text: format!("`{}` {fault}", self.name), log: tail(&self.log) }.into()
    }

    fn ended(&self, status: ExitStatus) -> BoxError {
        match (status.code(), status.signal()) {
            (Some(code), _) => self.failure(&format!("ended with status {code}")),
            (None, Some(signal)) => self.failure(&format!("was ended by signal {signal}")),
            (None, None) => self.failure("ended"),
        }
    }
}

/// A program did not do as it should.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    /// The end of its log, in lines.
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
            // A process that is gone needs no signal; one that stays is killed below.
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

/// Returns the words to put before a command so that it gets SIGTERM when this process dies, even by SIGKILL.
fn leash() -> &'static [&'static str] {
    const LEASH: [&str; 3] = ["setpriv", "--pdeathsig", "TERM"];
    let works = Command::new(LEASH[0])
        .args(&LEASH[1..])
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if works { &LEASH } else { &[] }
}

/// Returns how long a batch took, from the line of its figures.
fn duration(line: &str) -> Option<f64> {
    line.split_once("duration: ")?.1.split([',', '}']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_found_whatever_stands_behind_it() {
        assert_eq!(duration("INFO {count: 2, duration: 0.0260}"), Some(0.026));
        assert_eq!(duration("INFO {count: 2, duration: 0.0260, idle: 3.1}"), Some(0.026));
        assert_eq!(duration("INFO stopped"), None);
    }
}
