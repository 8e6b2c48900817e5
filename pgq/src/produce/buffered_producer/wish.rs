//! A wish to have everything written.

use super::buffer::Goal;
use super::shared::Shared;

/// A wish that somebody waits for; while there is one, attempts do not wait for long.
pub(super) struct Wish<'a> {
    pub(super) shared: &'a Shared,
    pub(super) goal: Goal,
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        self.shared.forget_wish();
    }
}
