//! SIGHUP, SIGINT and SIGTERM, turned into calls of the loop's [`Control`].

use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{Control, Error, logging};

/// A second SIGINT within this time means: now.
const DOUBLE: Duration = Duration::from_secs(1);

/// Handles signals on a thread of its own. `last_words` runs when the loop does not end in time after
/// SIGTERM, before the process is ended.
pub(crate) fn watch(control: Control, last_words: impl Fn() + Send + 'static) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::failed("cannot handle signals").caused_by(error);
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

fn abort(control: &Control, last_words: &impl Fn()) {
    if !control.abort() {
        warn!("the current round does not end, leaving it to the server to roll back");
        logging::flush();
        last_words();
        std::process::exit(0);
    }
}
