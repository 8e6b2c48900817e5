//! A batch without a server.

use std::sync::{Arc, Mutex, PoisonError};

use super::Batch;
use crate::aio::consume::connections::{Connections, Opened, Turn};
use crate::aio::consume::reader::Reader;
use crate::consume::failures::Reports;
use crate::consume::holder::BatchHolder;
use crate::consume::read::opening::Opening;
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::Settings;
use crate::consume::tags::Tags;
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::Event;

/// Receives the number of events and the tags when a batch without a server is committed.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Option<(u64, Tags)>>>);

impl Ledger {
    pub(super) fn enter(&self, read: u64, tags: Tags) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((read, tags));
    }

    /// Returns how many events were read, and the tags; `None` if the batch was not committed.
    pub(crate) fn take(&self) -> Option<(u64, Tags)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Batch {
    /// Makes a batch of a test's events.
    pub(crate) async fn of_test(
        mut settings: Settings,
        info: BatchInfo,
        events: Vec<Event>,
        ledger: Ledger,
    ) -> Batch {
        // No transaction is open, and nobody takes the batch over.
        (settings.autocommit, settings.subconsumer_timeout) = (true, None);
        let subscription = Subscription::new(settings);
        let holder = BatchHolder::new(&subscription, &info);
        let connections = Arc::new(tokio::sync::Mutex::new(Connections::new("", subscription)));
        let opened = Opened { opened_at: info.tick_time, info, holder, opening: Opening::default() };
        let batch = Batch::new(Turn::take(&connections).await, opened, Reports::default());
        Batch { reader: Reader::at_end(), page: events.into_iter(), ledger: Some(ledger), ..batch }
    }
}
