//! Ending the process by a signal.

use signal_hook::low_level::emulate_default_handler;

use crate::logging;

/// Flushes the log and ends the process by the signal's default action, so that a shell which runs a script sees the
/// signal and ends the script too.
pub(crate) fn die_by_signal(signal: i32) {
    logging::flush();
    // Fails only for signals that cannot be handled.
    let _ = emulate_default_handler(signal);
}
