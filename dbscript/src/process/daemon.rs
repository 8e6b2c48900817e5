//! Running in the background: the parent waits until the child is up, and reports a failed start.

#![allow(unsafe_code, reason = "fork has no safe interface; nothing else in this file is unsafe")]

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::AsFd;

use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use crate::error::Error;

/// The child's message that it is up; any other message is the reason of a failure.
const UP: &str = "\0up";
/// The prefix of the reason of a usage error.
const USAGE: &str = "\0usage";

/// The child's end of the pipe to its waiting parent.
pub(crate) struct Readiness(std::io::PipeWriter);

impl Readiness {
    /// Reports that the child is up; the parent exits with success.
    pub(crate) fn up(mut self) {
        // The write fails when the parent has ended already.
        let _ = self.0.write_all(UP.as_bytes());
    }

    /// Reports the reason of the child's failure, and `usage` for a usage error. The parent exits with that error.
    pub(crate) fn failed(mut self, usage: bool, reason: &str) {
        let kind = if usage { USAGE } else { "" };
        let _ = self.0.write_all(format!("{kind}{reason}").as_bytes());
    }
}

/// A side of the fork.
pub(crate) enum Side {
    /// The parent, after the child is up or has failed.
    Parent(Result<(), Error>),
    /// The child: in its own session, without a terminal.
    Child(Readiness),
}

/// Forks. Must be called before the process starts threads.
pub(crate) fn daemonize() -> Result<Side, Error> {
    let failed = |error: std::io::Error| Error::failed("cannot run in the background").caused_by(error);
    let (from_child, to_parent) = pipe().map_err(failed)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(failed)?;
    // SAFETY: the process has a single thread at this point, so no lock is held by a thread that the child lacks.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Parent { .. } => {
            drop(to_parent);
            Ok(Side::Parent(wait(from_child)))
        }
        ForkResult::Child => {
            drop(from_child);
            detach(&null).map_err(|error| failed(error.into()))?;
            Ok(Side::Child(Readiness(to_parent)))
        }
    }
}

fn detach(null: &File) -> nix::Result<()> {
    setsid()?;
    dup2_stdin(null.as_fd())?;
    dup2_stdout(null.as_fd())?;
    dup2_stderr(null.as_fd())
}

fn wait(mut from_child: PipeReader) -> Result<(), Error> {
    let mut message = Vec::new();
    let read = from_child.read_to_end(&mut message);
    let message = String::from_utf8_lossy(&message);
    if message == UP {
        return Ok(());
    }
    if message.is_empty() || read.is_err() {
        return Err(Error::failed("not started: the background process ended before it was up"));
    }
    Err(match message.strip_prefix(USAGE) {
        Some(reason) => Error::usage(reason),
        None => Error::failed(format!("not started: {message}")),
    })
}
