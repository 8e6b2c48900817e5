//! Signal handling: SIGHUP, SIGINT and SIGTERM become calls of [`Control`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use nix::sys::signal::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::control::Control;
use crate::error::Error;
use crate::logging;
use crate::process::confirm;
use crate::process::die_by_signal::die_by_signal;

/// A second SIGINT within this time aborts the current round.
const DOUBLE: Duration = Duration::from_secs(1);

/// Handles the signals of a loop on a new thread. `before_exit` runs before the process exits because an aborted loop
/// has not ended in time.
pub(crate) fn watch(control: Control, before_exit: impl Fn() + Send + 'static) -> Result<(), Error> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let handle = move || {
        let mut interrupted: Option<Instant> = None;
        for signal in signals.forever() {
            let double = interrupted.is_some_and(|at| at.elapsed() < DOUBLE);
            match signal {
                SIGHUP => control.reload(),
                SIGINT if !double => {
                    info!("got SIGINT, finishing the current round");
                    interrupted = Some(Instant::now());
                    control.stop();
                }
                _ => {
                    info!("got {}, ending now", if signal == SIGTERM { "SIGTERM" } else { "SIGINT twice" });
                    abort(&control, &before_exit);
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map(|_| ()).map_err(failed)
}

/// The signal that has cancelled a job.
#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicI32>);

impl Cancelled {
    pub(crate) fn signal(&self) -> Option<Signal> {
        Signal::try_from(self.0.load(Ordering::SeqCst)).ok()
    }
}

/// Handles the signals of a job that runs once: SIGINT and SIGTERM cancel its statements. The process dies by the
/// signal if the job does not end in time.
pub(crate) fn watch_once(control: Control) -> Result<Cancelled, Error> {
    let cancelled = Cancelled::default();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let shared = cancelled.clone();
    let handle = move || {
        for signal in signals.forever() {
            confirm::decline_by_signal(signal);
            shared.0.store(signal, Ordering::SeqCst);
            if !control.abort() {
                warn!("the job does not end: exiting, the server rolls back");
                die_by_signal(signal);
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map_err(failed)?;
    Ok(cancelled)
}

fn failed(error: std::io::Error) -> Error {
    Error::failed("cannot handle signals").caused_by(error)
}

fn abort(control: &Control, before_exit: &impl Fn()) {
    if !control.abort() {
        warn!("the current round does not end: exiting, the server rolls back");
        logging::flush();
        before_exit();
        std::process::exit(0);
    }
}
