//! The end of the process by a signal.

use signal_hook::low_level::emulate_default_handler;

use crate::logging;

/// Ends the process as the signal would have, so that a shell sees it and ends its script too.
pub(crate) fn end_by(signal: i32) {
    logging::flush();
    // Fails for signals that cannot be handled only.
    let _ = emulate_default_handler(signal);
}
