//! Measured processes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BoxError, cpu};

const POLL: Duration = Duration::from_millis(5);

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The wall time from the start of the first process to the end of the last one, in seconds.
    pub(crate) seconds: f64,
    /// The sum of the processes' peak memory, in KiB.
    pub(crate) peak: u64,
    /// The sum of the processes' processor time, in seconds.
    pub(crate) cpu: f64,
}

/// Runs commands as a pipeline, and returns when all have ended.
///
/// # Errors
///
/// When a command cannot be started or fails, with its standard error, which is written to the file `log`.
pub(crate) fn run(mut commands: Vec<Command>, log: &Path) -> Result<Sample, BoxError> {
    let errors = File::create(log)?;
    let last = commands.len() - 1;
    let started = Instant::now();
    let mut children: Vec<Child> = Vec::new();
    for (number, command) in commands.iter_mut().enumerate() {
        let input = match children.last_mut().and_then(|before| before.stdout.take()) {
            Some(output) => Stdio::from(output),
            None => Stdio::null(),
        };
        let output = if number == last { Stdio::null() } else { Stdio::piped() };
        children.push(command.stdin(input).stdout(output).stderr(errors.try_clone()?).spawn()?);
    }
    measure(children, started, log)
}

/// Runs commands at the same time, and returns when all have ended.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_at_once(mut commands: Vec<Command>, log: &Path) -> Result<Sample, BoxError> {
    let errors = File::create(log)?;
    let started = Instant::now();
    let mut children: Vec<Child> = Vec::new();
    for command in &mut commands {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        children.push(quiet.stderr(errors.try_clone()?).spawn()?);
    }
    measure(children, started, log)
}

/// Waits for the end of processes.
fn measure(mut children: Vec<Child>, started: Instant, log: &Path) -> Result<Sample, BoxError> {
    let pids: Vec<u32> = children.iter().map(Child::id).collect();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&pids, &ended));
        let result = wait(&mut children, log);
        let seconds = started.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        let (peak, cpu) = watcher.join().map_err(|_| "the processes could not be watched")?;
        result.map(|()| Sample { seconds, peak, cpu })
    })
}

fn wait(children: &mut [Child], log: &Path) -> Result<(), BoxError> {
    let mut failed = None;
    for child in children {
        let status = child.wait()?;
        if !status.success() {
            failed.get_or_insert(status);
        }
    }
    match failed {
        Some(status) => Err(format!("{status}\n{}", fs::read_to_string(log)?).into()),
        None => Ok(()),
    }
}

/// Waits for the end of the processes, and returns the sums of their peak memory and of their processor time.
///
/// The kernel records the peak, so only growth in the last moments of a process is missed. `ru_maxrss` would miss
/// nothing, but starts at the memory of the forking process.
fn watch(pids: &[u32], ended: &AtomicBool) -> (u64, f64) {
    let mut highest = vec![(0, 0.0); pids.len()];
    while !ended.load(Ordering::Relaxed) {
        for ((peak, seconds), pid) in highest.iter_mut().zip(pids) {
            *peak = (*peak).max(peak_of(*pid).unwrap_or(0));
            *seconds = cpu::of(*pid).unwrap_or(0.0).max(*seconds);
        }
        thread::sleep(POLL);
    }
    highest.iter().fold((0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
