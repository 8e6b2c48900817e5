//! Where an event came from.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::consume::settings::Settings;
use crate::event::batch_info::BatchInfo;

/// Where an event came from: the queue, the consumer and the batch. An [argument](super::FromEvent) of handlers. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Origin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: String,
    consumer: String,
    subconsumer: Option<String>,
    batch: BatchInfo,
    opened_at: DateTime<Utc>,
}

impl Origin {
    pub(crate) fn new(settings: &Settings, batch: &BatchInfo, opened_at: DateTime<Utc>) -> Origin {
        Origin(Arc::new(Inner {
            queue: settings.queue.clone(),
            consumer: settings.consumer.clone(),
            subconsumer: settings.subconsumer.clone(),
            batch: batch.clone(),
            opened_at,
        }))
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        &self.0.queue
    }

    /// Returns the consumer's name.
    pub fn consumer(&self) -> &str {
        &self.0.consumer
    }

    /// Returns the name of the cooperative consumer's member that has the batch.
    pub fn subconsumer(&self) -> Option<&str> {
        self.0.subconsumer.as_deref()
    }

    /// Returns the batch's id and ticks.
    pub fn batch(&self) -> &BatchInfo {
        &self.0.batch
    }

    /// Returns when this process opened the batch, by the server's clock. If the batch is delivered again, to this process
    /// or another one, the time is a later one.
    pub fn opened_at(&self) -> DateTime<Utc> {
        self.0.opened_at
    }
}
