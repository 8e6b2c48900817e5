//! Processor time, from `/proc`.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

use crate::BoxError;

/// Returns the seconds of a process, without its children.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn of(pid: u32) -> Result<f64, BoxError> {
    seconds(ticks(pid, false)?)
}

/// Returns the seconds of a process, its children and the ended children of those.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn of_server(parent: u32) -> Result<f64, BoxError> {
    let mut sum = ticks(parent, true)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if fields(pid).is_some_and(|fields| fields.get(1) == Some(&u64::from(parent))) {
            // A process that has just ended is in the sum of its parent.
            sum += ticks(pid, false).unwrap_or(0);
        }
    }
    seconds(sum)
}

fn seconds(ticks: u64) -> Result<f64, BoxError> {
    Ok(ticks as f64 / sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64)
}

/// Returns the clock ticks of a process, with `with_children` including its ended children.
fn ticks(pid: u32, with_children: bool) -> Result<u64, BoxError> {
    let fields = fields(pid).ok_or_else(|| format!("process {pid} is gone"))?;
    let last = if with_children { 14 } else { 12 };
    Ok(fields.get(11..=last).unwrap_or_default().iter().sum())
}

/// Returns the fields of `/proc/PID/stat` after the process's name. A field that is no number counts as zero.
fn fields(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(')')?.1;
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}
