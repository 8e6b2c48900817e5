//! Notifications to the service manager that has started the program.

use std::time::Duration;

/// Receives notifications about the state of a loop.
pub(crate) trait ServiceManager {
    /// Sends a notification.
    fn notify(&mut self, notification: Notification<'_>);

    /// Returns the longest time without [`Notification::Alive`] while the loop sleeps, or `None` without a watchdog.
    fn keep_alive_interval(&self) -> Option<Duration>;
}

/// A notification to the service manager.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "program"), allow(dead_code, reason = "a plain library has no service manager"))]
pub(crate) enum Notification<'a> {
    /// The loop is up and has read the current configuration.
    Ready,
    /// The loop is reading the configuration again.
    Reloading,
    /// The loop is shutting down.
    Stopping,
    /// A round has succeeded; resets the watchdog.
    Alive,
    /// One line for people about the current state of the loop.
    Status(&'a str),
}
