//! No spans.

use std::error::Error as StdError;

use dbscript::BoxError;

use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::consume::settings::Settings;
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::Event;

#[derive(Clone)]
pub(crate) struct BatchSpan;

pub(crate) struct EventSpan;

impl BatchSpan {
    pub(crate) fn new(_settings: &Settings, _info: &BatchInfo) -> BatchSpan {
        BatchSpan
    }

    pub(crate) fn event(&self, _event: &Event) -> EventSpan {
        EventSpan
    }

    pub(crate) fn call<T>(&self, code: impl FnOnce() -> T) -> T {
        code()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn instrument<F: Future>(&self, code: F) -> F {
        code
    }

    pub(crate) fn finished(&self, _delivered: &Delivered) {}

    #[cfg(feature = "tokio")]
    pub(crate) fn redelivered(&self) {}

    pub(crate) fn ended(&self, _result: &Result<Delivered, BoxError>) {}
}

impl EventSpan {
    pub(crate) fn call<T>(&self, handler: impl FnOnce() -> T) -> T {
        handler()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn instrument<F: Future>(&self, handler: F) -> F {
        handler
    }

    pub(crate) fn failed(&self, _error: &(dyn StdError + 'static), _outcome: &Outcome) {}

    pub(crate) fn ended(&self, _result: &Result<Outcome, BoxError>) {}

    pub(crate) fn broke(&self, _error: &(dyn StdError + 'static)) {}

    pub(crate) fn settled(&self, _outcome: &Outcome) {}
}
