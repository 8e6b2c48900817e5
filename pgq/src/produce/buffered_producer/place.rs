//! A place in the line of those that wait for room.

use super::shared::Shared;

/// A place in the line of those that wait for room, given up when dropped.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}
