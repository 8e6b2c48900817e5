//! Reports of handlers that failed.

use std::error::Error as StdError;
use std::sync::Arc;

use dbscript::{LogThrottle, describe};
use log::{Level, log};

use crate::consume::hooks::Hooks;
use crate::consume::outcome::Outcome;
use crate::event::stored_event::Event;

/// Reports the failures and outcomes of a batch's events, to the log and to the hooks.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    hooks: Option<Arc<dyn Hooks>>,
    throttle: Arc<LogThrottle>,
    /// Whether a failure of this batch was reported.
    has_failed: bool,
}

impl Reports {
    pub(crate) fn new(hooks: Option<Arc<dyn Hooks>>, throttle: Arc<LogThrottle>) -> Reports {
        Reports { hooks, throttle, has_failed: false }
    }

    /// Logs why a handler failed. Of a batch the first failure is a warning, since there may be a million, and of those
    /// that fail alike one a minute.
    pub(crate) fn failed(&mut self, queue: &str, event: &Event, error: &(dyn StdError + 'static)) {
        let line = describe(error);
        let is_first = !std::mem::replace(&mut self.has_failed, true);
        let level = if is_first && self.throttle.admit(&line).is_some() { Level::Warn } else { Level::Debug };
        log!(level, "event {} of queue `{queue}` failed: {line}", event.id());
        if let Some(hooks) = &self.hooks {
            hooks.event_failed(event, error);
        }
    }

    /// Reports the outcome of an event to the hooks.
    pub(crate) fn settled(&self, event: &Event, outcome: &Outcome) {
        if let Some(hooks) = &self.hooks {
            hooks.event_settled(event, outcome);
        }
    }
}
