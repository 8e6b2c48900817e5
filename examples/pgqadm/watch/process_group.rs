//! The process group, which is one job of the shell.

use std::{fs, io};

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid};

/// Stops the whole group, so that the shell of a script around this program takes over the terminal. Returns when the
/// group is continued. This process receives the SIGTSTP too, and must ignore that one.
pub(crate) fn stop() -> io::Result<()> {
    kill(Pid::from_raw(0), Signal::SIGTSTP)?;
    // This process handles SIGTSTP, so only SIGSTOP stops it.
    raise(Signal::SIGSTOP)?;
    Ok(())
}

/// Returns whether a process can continue the group: a process of the same session and another group that is the parent
/// of one of the group's processes. The kernel ignores SIGTSTP in a group without such a process (an orphaned group).
pub(crate) fn can_be_continued() -> bool {
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

/// Returns the parent of a process, or `None` when it cannot be determined.
fn parent(process: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().map(Pid::from_raw).filter(|parent| *parent != Pid::from_raw(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_found() {
        assert_eq!(parent(getpid()), Some(nix::unistd::getppid()));
        assert_eq!(parent(Pid::from_raw(i32::MAX)), None);
    }
}
