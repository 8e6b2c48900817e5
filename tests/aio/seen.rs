//! Handlers that note what they do, and wait for permits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pgq::aio::Handlers;
use pgq::{BoxError, Event};
use tokio::sync::Semaphore;

/// The number of events that were started, and the data of those that were handled.
#[derive(Clone, Default)]
pub(super) struct Seen {
    started: Arc<AtomicUsize>,
    ended: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    pub(super) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    pub(super) fn ended(&self) -> Vec<String> {
        self.ended.lock().expect("no panic").clone()
    }

    /// Makes handlers that note the start of an event, wait for a permit, and note its end.
    pub(super) fn handlers(&self, at_once: usize, permits: &Arc<Semaphore>) -> Handlers {
        let (seen, permits) = (self.clone(), permits.clone());
        Handlers::new().concurrency(at_once).on("type", move |event: Event| {
            let (seen, permits) = (seen.clone(), permits.clone());
            async move {
                seen.started.fetch_add(1, Ordering::SeqCst);
                permits.acquire().await?.forget();
                seen.ended.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
                Ok::<_, BoxError>(())
            }
        })
    }
}
