//! Memory and processor time of processes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Watches a number that grows and shrinks, and keeps the highest value.
pub(crate) struct Watch {
    highest: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts a thread that reads the number again and again.
    pub(crate) fn start(period: Duration, read: impl Fn() -> Option<u64> + Send + 'static) -> Watch {
        let (highest, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (kept, stop) = (Arc::clone(&highest), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                kept.fetch_max(read().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(period);
            }
        });
        Watch { highest, ended, thread: Some(thread) }
    }

    /// Watches the peak memory of a process, in KiB. The kernel records the peak, so only growth in the last moments of
    /// the process is missed.
    pub(crate) fn peak_of(pid: u32) -> Watch {
        Watch::start(Duration::from_millis(20), move || status(pid, "VmHWM:"))
    }

    /// Watches the memory of a server's processes without the shared part, in KiB.
    pub(crate) fn private_of_children(parent: u32) -> Watch {
        Watch::start(Duration::from_millis(200), move || {
            Some(children(parent).into_iter().filter_map(|pid| status(pid, "RssAnon:")).sum())
        })
    }

    /// Returns the highest value so far, in MB.
    pub(crate) fn megabytes(&self) -> f64 {
        self.highest.load(Ordering::Relaxed) as f64 * 1024.0 / 1e6
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Returns a number of `/proc/PID/status`, in KiB.
fn status(pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

fn children(parent: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
