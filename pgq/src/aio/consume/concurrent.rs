//! Handling the events of a batch, many at once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use dbscript::{BoxError, catch_panic, describe_in_full};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::batch::Batch;
use super::delivery::caught;
use super::handlers::Handlers;
use super::origin::Origin;
use super::shutdown::Shutdown;
use crate::consume::delivered::Delivered;
use crate::consume::outcome::Outcome;
use crate::consume::redeliver::is_no_events_fault;
use crate::consume::spans::EventSpan;
use crate::error::Error;
use crate::event::stored_event::Event;

/// How many events may wait: for others of their key, or for another call.
const MOST_WAITING: usize = 4096;
/// The size of the events that may wait, in bytes.
const MOST_BYTES: usize = 16 << 20;

/// One batch whose events are handled.
pub(super) struct Concurrent<'a> {
    handlers: &'a Handlers,
    batch: Batch,
    origin: Origin,
    /// The events that are handled at this moment.
    running: JoinSet<Done>,
    /// The events that are called again after a delay.
    sleeping: JoinSet<Call>,
    /// The calls that can start.
    ready: VecDeque<Call>,
    /// For each key of an event that runs, sleeps or is ready: the later events of the key.
    lanes: HashMap<String, VecDeque<Event>>,
    waiting: Waiting,
    /// Whether all events of the batch were read.
    is_read: bool,
}

/// An event to handle.
struct Call {
    event: Event,
    key: Option<String>,
    /// How often it was called before in this batch.
    attempts: u32,
}

/// A call that has ended.
struct Done {
    call: Call,
    span: EventSpan,
    result: Result<Outcome, BoxError>,
}

/// The events in all lanes, and those that sleep.
#[derive(Default)]
struct Waiting {
    events: usize,
    bytes: usize,
}

impl<'a> Concurrent<'a> {
    pub(super) fn new(handlers: &'a Handlers, mut batch: Batch) -> Concurrent<'a> {
        batch.send_tags_early();
        Concurrent {
            handlers,
            origin: batch.origin(),
            batch,
            running: JoinSet::new(),
            sleeping: JoinSet::new(),
            ready: VecDeque::new(),
            lanes: HashMap::new(),
            waiting: Waiting::default(),
            is_read: false,
        }
    }

    /// Handles all events, or, when a shutdown is requested and there is no order, those that were started; the others
    /// are put back. Then commits the batch.
    pub(super) async fn run(mut self, shutdown: &Shutdown) -> Result<Delivered, BoxError> {
        loop {
            let puts_back = self.handlers.order.is_none() && shutdown.is_requested();
            if !puts_back {
                self.start().await?;
            }
            let reads = !puts_back && self.has_room();
            if self.running.is_empty() && self.sleeping.is_empty() && !reads {
                if puts_back {
                    self.put_back().await?;
                }
                break;
            }
            tokio::select! {
                biased;
                Some(done) = self.running.join_next() => self.end(done.map_err(cancelled)?)?,
                Some(call) = self.sleeping.join_next() => self.wake(call.map_err(cancelled)?),
                has_more = self.batch.wait_for_page(), if reads => self.is_read = !has_more?,
                () = shutdown.requested(), if !puts_back && self.handlers.order.is_none() => {}
            }
        }
        let delivered = self.batch.delivered();
        self.batch.commit().await?;
        Ok(delivered)
    }

    /// Starts as many calls as may run at once.
    async fn start(&mut self) -> Result<(), BoxError> {
        while self.running.len() < self.handlers.concurrency {
            if let Some(call) = self.ready.pop_front() {
                self.spawn(call);
            } else if self.has_room() && self.batch.has_page() {
                self.batch.next_event().await?.into_iter().for_each(|event| self.add(event));
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether another event could start if it was read.
    fn has_room(&self) -> bool {
        self.running.len() < self.handlers.concurrency && !self.is_read && !self.waiting.is_full()
    }

    /// Adds an event: it can start, unless an earlier one of its key has not ended.
    fn add(&mut self, event: Event) {
        let key = self.handlers.order.as_ref().and_then(|order| order(&event).map(str::to_owned));
        if let Some(key) = &key {
            if let Some(lane) = self.lanes.get_mut(key) {
                self.waiting.add(&event);
                lane.push_back(event);
                return;
            }
            self.lanes.insert(key.clone(), VecDeque::new());
        }
        self.ready.push_back(Call { event, key, attempts: 0 });
    }

    fn spawn(&mut self, call: Call) {
        let span = self.batch.span().event(&call.event);
        match span.call(|| catch_panic(|| self.handlers.call(&call.event, &self.origin))) {
            Ok(handling) => {
                let handling = span.instrument(caught(handling));
                self.running.spawn(async { Done { result: handling.await, call, span } });
            }
            Err(error) => {
                self.running.spawn(async { Done { call, span, result: Err(error) } });
            }
        }
    }

    /// Settles the event of a call that has ended, or calls it again.
    fn end(&mut self, Done { call, span, result }: Done) -> Result<(), BoxError> {
        match (self.outcome(&call, &span, result)?, call.key.is_some()) {
            (Outcome::Retry(delay), true) => self.call_again(call, delay),
            (outcome, _) => {
                self.batch.tag(&call.event, outcome);
                call.key.into_iter().for_each(|key| self.release(key));
            }
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        call: &Call,
        span: &EventSpan,
        result: Result<Outcome, BoxError>,
    ) -> Result<Outcome, BoxError> {
        let Call { event, attempts, .. } = call;
        let retries = event.retry().saturating_add_unsigned(*attempts);
        let policy = self.batch.policy().cloned();
        match (result, policy) {
            (Ok(outcome), policy) => {
                let outcome = match policy {
                    Some(policy) => policy.limited(retries, outcome),
                    None => outcome,
                };
                span.settled(&outcome);
                Ok(outcome)
            }
            (Err(error), Some(policy)) if !is_no_events_fault(&*error) => {
                self.batch.report_failed(event, &*error);
                let outcome = policy.outcome(retries, &describe_in_full(&*error));
                span.failed(&*error, &outcome);
                Ok(outcome)
            }
            (Err(error), _) => {
                span.broke(&*error);
                Err(self.batch.handler_failed(event, error).into())
            }
        }
    }

    fn call_again(&mut self, call: Call, delay: Duration) {
        self.waiting.add(&call.event);
        self.sleeping.spawn(async move {
            sleep(delay).await;
            Call { attempts: call.attempts.saturating_add(1), ..call }
        });
    }

    fn wake(&mut self, call: Call) {
        self.waiting.remove(&call.event);
        self.ready.push_back(call);
    }

    /// Starts the next event of a key.
    fn release(&mut self, key: String) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        match lane.pop_front() {
            Some(event) => {
                self.waiting.remove(&event);
                self.ready.push_back(Call { event, key: Some(key), attempts: 0 });
            }
            None => drop(self.lanes.remove(&key)),
        }
    }

    /// Tags all events that were not started for retry at once.
    async fn put_back(&mut self) -> Result<(), BoxError> {
        for call in std::mem::take(&mut self.ready) {
            self.batch.tag(&call.event, Outcome::Retry(Duration::ZERO));
        }
        while let Some(event) = self.batch.next_event().await? {
            self.batch.tag(&event, Outcome::Retry(Duration::ZERO));
        }
        Ok(())
    }
}

impl Waiting {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        self.bytes += event.size();
    }

    fn remove(&mut self, event: &Event) {
        self.events -= 1;
        self.bytes -= event.size();
    }

    fn is_full(&self) -> bool {
        self.events >= MOST_WAITING || self.bytes >= MOST_BYTES
    }
}

/// Makes the error of a call that the end of the runtime has cancelled. The event did not fail: the batch is delivered
/// again.
fn cancelled(error: JoinError) -> Error {
    Error::failed("the handler of an event was cancelled").caused_by(error)
}
