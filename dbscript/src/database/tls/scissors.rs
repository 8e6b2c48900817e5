//! What ends a connection from outside of its stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a connection: the driver would wait for answers that are due, for ever. Clones belong to the same connection.
#[derive(Clone, Default)]
pub(crate) struct Scissors(Arc<Flags>);

#[derive(Default)]
struct Flags {
    cut: AtomicBool,
    closing: AtomicBool,
}

impl Scissors {
    /// Lets the next read of the connection fail, or no longer.
    pub(crate) fn cut(&self, cut: bool) {
        self.0.cut.store(cut, Ordering::Relaxed);
    }

    /// Gives the connection a few seconds more, in which it is closed.
    pub(crate) fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }
}
