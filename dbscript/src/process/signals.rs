//! SIGHUP, SIGINT and SIGTERM, turned into calls of [`Control`].

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
use crate::process::end::end_by;

/// A second SIGINT within this time means: now.
const DOUBLE: Duration = Duration::from_secs(1);

/// Handles signals on a thread of its own. `last_words` runs when the loop does not end in time after
/// SIGTERM, before the process is ended.
pub(crate) fn watch(control: Control, last_words: impl Fn() + Send + 'static) -> Result<(), Error> {
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
                    abort(&control, &last_words);
                }
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map(|_| ()).map_err(failed)
}

/// The signal that has cancelled what runs once.
#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicI32>);

impl Cancelled {
    pub(crate) fn by(&self) -> Option<Signal> {
        Signal::try_from(self.0.load(Ordering::SeqCst)).ok()
    }
}

/// Lets SIGINT and SIGTERM cancel what runs once, which then ends. If it does not end in time, the process does.
pub(crate) fn watch_once(control: Control) -> Result<Cancelled, Error> {
    let cancelled = Cancelled::default();
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    let shared = cancelled.clone();
    let handle = move || {
        for signal in signals.forever() {
            confirm::end_question(signal);
            shared.0.store(signal, Ordering::SeqCst);
            if !control.abort() {
                warn!("this does not end, leaving it to the server to roll back");
                end_by(signal);
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(handle).map_err(failed)?;
    Ok(cancelled)
}

fn failed(error: std::io::Error) -> Error {
    Error::failed("cannot handle signals").caused_by(error)
}

fn abort(control: &Control, last_words: &impl Fn()) {
    if !control.abort() {
        warn!("the current round does not end, leaving it to the server to roll back");
        logging::flush();
        last_words();
        std::process::exit(0);
    }
}
