//! Going background: the parent stays until the child is up, and reports when it is not.

#![allow(unsafe_code, reason = "fork has no safe interface; nothing else in this file is unsafe")]

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::AsFd;

use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use crate::error::Error;

/// What the child sends when it is up; anything else is the reason why it is not.
const UP: &str = "\0up";
/// What stands before the reason when it is wrong usage.
const USAGE: &str = "\0usage";

/// The child's end of the pipe to its waiting parent.
pub(crate) struct Readiness(std::io::PipeWriter);

impl Readiness {
    /// Lets the parent end with success.
    pub(crate) fn up(mut self) {
        // A parent that is gone waits for nothing.
        let _ = self.0.write_all(UP.as_bytes());
    }

    /// Lets the parent fail with a reason, which is wrong usage or not.
    pub(crate) fn failed(mut self, usage: bool, reason: &str) {
        let kind = if usage { USAGE } else { "" };
        let _ = self.0.write_all(format!("{kind}{reason}").as_bytes());
    }
}

/// Which side of the fork this is.
pub(crate) enum Side {
    /// The parent, after the child has come up or failed.
    Parent(Result<(), Error>),
    /// The child: in its own session, without a terminal.
    Child(Readiness),
}

/// Forks. Must be called before the process starts threads.
pub(crate) fn daemonize() -> Result<Side, Error> {
    let failed = |error: std::io::Error| Error::failed("cannot go background").caused_by(error);
    let (from_child, to_parent) = pipe().map_err(failed)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(failed)?;
    // SAFETY: the process has a single thread at this point, so no lock is held by a thread that the child
    // lacks.
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
    let mut said = Vec::new();
    let read = from_child.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    if said == UP {
        return Ok(());
    }
    if said.is_empty() || read.is_err() {
        return Err(Error::failed("not started: the background process ended before it was up"));
    }
    Err(match said.strip_prefix(USAGE) {
        Some(reason) => Error::usage(reason),
        None => Error::failed(format!("not started: {said}")),
    })
}
