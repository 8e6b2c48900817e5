//! Ending a connection from outside of its stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a connection whose server has stopped responding; the driver alone would wait without limit. Clones belong to
/// the same connection.
#[derive(Clone, Default)]
pub(crate) struct AbortHandle(Arc<Flags>);

#[derive(Default)]
struct Flags {
    aborted: AtomicBool,
    closing: AtomicBool,
}

impl AbortHandle {
    /// Sets or clears the abort. While it is set, every read of the connection fails.
    pub(crate) fn set_aborted(&self, aborted: bool) {
        self.0.aborted.store(aborted, Ordering::Relaxed);
    }

    /// Limits the time in which the connection is closed to five seconds.
    pub(crate) fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.0.aborted.load(Ordering::Relaxed)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }
}
