//! The `sd_notify` protocol of systemd.

use std::time::{Duration, Instant};

use log::debug;
use sd_notify::NotifyState;

use crate::service_manager::{Notification, ServiceManager};
use crate::text::printable::one_line;

/// Notifies systemd, or another service manager that sets `NOTIFY_SOCKET`. Sends nothing without that variable.
pub(crate) struct Systemd {
    /// The watchdog's time-out.
    watchdog: Option<Duration>,
    last_alive: Option<Instant>,
    status: String,
}

impl Systemd {
    pub(crate) fn new() -> Systemd {
        let watchdog = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
        Systemd { watchdog, last_alive: None, status: String::new() }
    }

    /// Resets the watchdog, at most once in a tenth of its time-out, since rounds may follow each other quickly.
    fn reset_watchdog(&mut self) {
        let Some(interval) = self.watchdog else { return };
        if self.last_alive.is_none_or(|last| last.elapsed() > interval / 10) {
            self.last_alive = Some(Instant::now());
            self.send(&[NotifyState::Watchdog]);
        }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            debug!("cannot notify the service manager: {error}");
        }
    }
}

impl ServiceManager for Systemd {
    fn notify(&mut self, notification: Notification<'_>) {
        match notification {
            Notification::Ready => self.send(&[NotifyState::Ready]),
            Notification::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => self.send(&[NotifyState::Reloading, now]),
                Err(_) => self.send(&[NotifyState::Reloading]),
            },
            Notification::Stopping => self.send(&[NotifyState::Stopping]),
            Notification::Alive => self.reset_watchdog(),
            // A line end would begin a second message to the service manager.
            Notification::Status(status) if one_line(status) == self.status => {}
            Notification::Status(status) => {
                let status = &*one_line(status);
                status.clone_into(&mut self.status);
                self.send(&[NotifyState::Status(status)]);
            }
        }
    }

    fn keep_alive_interval(&self) -> Option<Duration> {
        self.watchdog.map(|interval| interval / 2)
    }
}
