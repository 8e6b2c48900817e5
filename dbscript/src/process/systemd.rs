//! The protocol of systemd's `sd_notify`.

use std::time::{Duration, Instant};

use log::debug;
use sd_notify::NotifyState;

use crate::manager::{Manager, News};
use crate::text::plain::one_line;

/// Notifies systemd, or another service manager that has set `NOTIFY_SOCKET`. Without that variable nothing is sent.
pub(crate) struct Systemd {
    /// The time within which the watchdog wants a sign of life.
    watchdog: Option<Duration>,
    alive: Option<Instant>,
    status: String,
}

impl Systemd {
    pub(crate) fn new() -> Systemd {
        let watchdog = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
        Systemd { watchdog, alive: None, status: String::new() }
    }

    /// Feeds the watchdog, not more often than it takes: rounds may follow each other quickly.
    fn feed(&mut self) {
        let Some(interval) = self.watchdog else { return };
        if self.alive.is_none_or(|last| last.elapsed() > interval / 10) {
            self.alive = Some(Instant::now());
            self.send(&[NotifyState::Watchdog]);
        }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            debug!("cannot notify the service manager: {error}");
        }
    }
}

impl Manager for Systemd {
    fn tell(&mut self, news: News<'_>) {
        match news {
            News::Ready => self.send(&[NotifyState::Ready]),
            News::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => self.send(&[NotifyState::Reloading, now]),
                Err(_) => self.send(&[NotifyState::Reloading]),
            },
            News::Stopping => self.send(&[NotifyState::Stopping]),
            News::Alive => self.feed(),
            // A line end would begin another message to the manager.
            News::Status(status) if one_line(status) == self.status => {}
            News::Status(status) => {
                let status = &*one_line(status);
                status.clone_into(&mut self.status);
                self.send(&[NotifyState::Status(status)]);
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.watchdog.map(|interval| interval / 2)
    }
}
