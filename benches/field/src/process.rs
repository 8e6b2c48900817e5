//! A running adapter.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::usage::Watch;
use crate::{BoxError, cpu, logs};

/// The time that an adapter has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);
/// The part of a log that an error shows.
const SHOWN: usize = 1_500;

/// An adapter's process. Dropping the value kills the process.
pub(crate) struct Adapter {
    child: Child,
    name: String,
    lines: Receiver<Line>,
    log: PathBuf,
    memory: Watch,
}

/// A line that an adapter has printed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// When it arrived, in microseconds since 1970.
    pub(crate) at: u64,
    pub(crate) value: Value,
}

/// The resources that a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Processor time in seconds.
    pub(crate) cpu: f64,
    pub(crate) peak_megabytes: f64,
}

impl AddAssign for Used {
    fn add_assign(&mut self, other: Used) {
        self.cpu += other.cpu;
        self.peak_megabytes += other.peak_megabytes;
    }
}

impl Adapter {
    /// Starts a process, whose standard error goes to the file `log`.
    ///
    /// # Errors
    ///
    /// When the program does not exist.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Adapter, BoxError> {
        let errors = File::options().append(true).create(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let program = command.get_program().display().to_string();
        let mut child = command.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
        let output = child.stdout.take().ok_or("the output was set to a pipe")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(Line { at: logs::now(), value }).is_err() {
                    return;
                }
            }
        });
        let memory = Watch::peak_of(child.id());
        Ok(Adapter { child, name: name.to_owned(), lines, log: log.to_owned(), memory })
    }

    /// Waits for a line of a kind.
    ///
    /// # Errors
    ///
    /// When the process ends without it, or needs longer than the limit.
    pub(crate) fn wait_for(&self, kind: &str, limit: Duration) -> Result<Line, BoxError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.value.get("kind").and_then(Value::as_str) == Some(kind) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(
                        format!("{}: no line `{kind}` within {limit:?}{}", self.name, self.log()).into()
                    );
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(
                        format!("{} has ended without a line `{kind}`{}", self.name, self.log()).into()
                    );
                }
            }
        }
    }

    /// Waits for the end of the process, and returns the resources that it has used.
    ///
    /// # Errors
    ///
    /// When the process fails.
    pub(crate) fn finish(mut self) -> Result<Used, BoxError> {
        let used = self.end()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{}: {status}{}", self.name, self.log()).into());
        }
        Ok(used)
    }

    /// Waits until a consumer has all its events, or stops it after the limit. Reports why it has not.
    ///
    /// # Errors
    ///
    /// When the process fails.
    pub(crate) fn consumed_within(self, limit: Duration) -> Result<Used, BoxError> {
        match self.wait_for("consumed", limit) {
            Ok(_) => self.finish(),
            Err(error) => {
                eprintln!("{error}");
                self.stop()
            }
        }
    }

    /// Sends SIGTERM to the process, waits for its end, and returns the resources that it has used. A process that does not end is killed.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub(crate) fn stop(mut self) -> Result<Used, BoxError> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let deadline = Instant::now() + GRACE;
        while self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        if Instant::now() >= deadline {
            self.child.kill()?;
        }
        let used = self.end()?;
        self.child.wait()?;
        Ok(used)
    }

    /// Kills the process as a crash would.
    ///
    /// # Errors
    ///
    /// When the process cannot be signalled.
    pub(crate) fn kill(mut self) -> Result<(), BoxError> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Returns the resources that the process has used so far.
    ///
    /// # Errors
    ///
    /// When the process was reaped.
    pub(crate) fn used(&self) -> Result<Used, BoxError> {
        Ok(Used { cpu: cpu::of(self.child.id())?, peak_megabytes: self.memory.megabytes() })
    }

    /// Returns whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Waits for the end of the process, whose processor time can be read until the process is reaped.
    fn end(&mut self) -> Result<Used, BoxError> {
        waitid(Id::Pid(self.pid()?), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        self.used()
    }

    fn pid(&self) -> Result<Pid, BoxError> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// Returns the end of the log.
    fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let from = log.len().saturating_sub(SHOWN);
        let from = (from..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
        format!("\n{}", log[from..].trim_end())
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
