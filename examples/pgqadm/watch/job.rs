//! The process group, which is one job to the shell.

use std::{fs, io};

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

/// Stops the whole group, so that a shell which waits for a script around this program takes the terminal; returns
/// when it goes on. This process also gets a SIGTSTP of its own, which it has to leave alone.
pub(crate) fn stop() -> io::Result<()> {
    kill(Pid::from_raw(0), Signal::SIGTSTP)?;
    // That one is handled here, which keeps it from stopping this process.
    raise(Signal::SIGSTOP)?;
    Ok(())
}

/// Returns whether there is somebody who can let the group go on, which is a process of the session that has started
/// one of the group's. Where there is nobody, SIGTSTP stops no process that leaves it to the system either.
pub(crate) fn can_go_on() -> bool {
    let mut process = getpid();
    loop {
        let Some(parent) = parent(process) else { return true };
        match getpgid(Some(parent)) {
            Ok(group) if group == getpgrp() => process = parent,
            Ok(_) => return getsid(Some(parent)) == getsid(None),
            Err(_) => return false,
        }
    }
}

/// Returns a process's parent; `None` when it cannot be told.
fn parent(process: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().map(Pid::from_raw).filter(|parent| *parent != Pid::from_raw(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_known() {
        assert_eq!(parent(getpid()), Some(nix::unistd::getppid()));
        assert_eq!(parent(Pid::from_raw(i32::MAX)), None);
    }
}
