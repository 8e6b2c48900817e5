//! A queue in memory.

#[cfg(feature = "tokio")]
mod asynchronous;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::consume::batch::Batch;
use crate::consume::consumer::Consumer;
use crate::consume::read::events::Events;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::tags::{Tagged, Tags};
use crate::event::batch_info::BatchInfo;
use crate::event::new_event::NewEvent;
use crate::event::stored_event::{Event, Made};
use dbscript::BoxError;

/// A queue without a server, for tests of a consumer that needs no database: [`Batch::db`] returns an error.
///
/// Its clock moves only by [`advance`](FakeQueue::advance), and while asynchronous handlers run, with that of `tokio`.
///
/// ```
/// use std::time::Duration;
/// use pgq::testing::FakeQueue;
/// use pgq::{Batch, BoxError, Consumer, Event, NewEvent, Outcome};
///
/// struct Picky;
///
/// impl Consumer for Picky {
///     fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
///         Ok(if event.retry() == 0 { Outcome::Retry(Duration::from_secs(60)) } else { Outcome::Done })
///     }
/// }
///
/// # fn main() -> Result<(), BoxError> {
/// let mut queue = FakeQueue::new("names");
/// let id = queue.insert(&NewEvent::new("new", "Kristo"));
/// assert_eq!(queue.deliver(&mut Picky)?.retried, [(id, Duration::from_secs(60))]);
/// assert_eq!(queue.deliver(&mut Picky)?.events, 0);
/// queue.advance(Duration::from_secs(60));
/// assert_eq!(queue.deliver(&mut Picky)?.done, [id]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeQueue {
    name: String,
    policy: Option<RetryPolicy>,
    now: DateTime<Utc>,
    last_id: i64,
    ticks: i64,
    pending: Vec<Made>,
    /// The retry events, each with the time from which on it is delivered.
    retry_events: Vec<(DateTime<Utc>, Made)>,
    /// The time of `tokio` up to which the clock has followed.
    #[cfg(feature = "tokio")]
    followed: Option<tokio::time::Instant>,
}

/// The result of a batch of a [`FakeQueue`], by the ids of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Processed {
    /// How many events the consumer read.
    pub events: u64,
    /// The events that the consumer read and did not tag.
    pub done: Vec<i64>,
    /// The events to be retried, each with its delay. Those that were put back have none.
    pub retried: Vec<(i64, Duration)>,
    /// The failed events, each with the reason.
    pub failed: Vec<(i64, String)>,
}

impl FakeQueue {
    /// Makes an empty queue.
    pub fn new(name: &str) -> FakeQueue {
        FakeQueue {
            name: name.to_owned(),
            policy: None,
            now: DateTime::UNIX_EPOCH,
            last_id: 0,
            ticks: 1,
            pending: Vec::new(),
            retry_events: Vec::new(),
            #[cfg(feature = "tokio")]
            followed: None,
        }
    }

    /// Sets the policy for events whose handler fails. Defaults to none: an error fails the whole batch.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> FakeQueue {
        self.policy = Some(policy);
        self
    }

    /// Adds an event; returns its id. A [delayed](NewEvent::at) event is delivered when the clock has reached its time.
    pub fn insert(&mut self, event: &NewEvent<'_>) -> i64 {
        self.last_id += 1;
        let made = Made {
            id: self.last_id,
            time: event.at.or(event.time).unwrap_or(self.now),
            txid: self.last_id,
            retry: 0,
            texts: event.texts().map(|text| text.map(str::to_owned)),
        };
        match event.at.filter(|at| *at > self.now) {
            Some(at) => self.retry_events.push((at, made)),
            None => self.pending.push(made),
        }
        self.last_id
    }

    /// Advances the clock, so that retry events and delayed events become due.
    pub fn advance(&mut self, time: Duration) {
        self.now = self.later(time);
    }

    /// Delivers all pending events as one batch, as a worker does. Without events the consumer is not called. After
    /// [`Batch::redeliver`] the events stay pending.
    ///
    /// # Errors
    ///
    /// The error of the consumer. The events stay pending then.
    pub fn deliver(&mut self, consumer: &mut impl Consumer) -> Result<Processed, BoxError> {
        self.redeliver_due();
        if self.pending.is_empty() {
            return Ok(Processed::default());
        }
        let events = Events::of_test(&self.name, self.info(), self.events());
        let mut batch = Batch::of(events, self.policy.clone());
        consumer.process_batch(&mut batch)?;
        if batch.is_redelivered() {
            return Ok(Processed::default());
        }
        let (read, tags) = batch.into_tags();
        Ok(self.settle(read, tags))
    }

    fn events(&self) -> Vec<Event> {
        self.pending.iter().cloned().map(Event::made).collect()
    }

    /// Returns the time after a delay, at most the latest time that `DateTime` supports.
    fn later(&self, time: Duration) -> DateTime<Utc> {
        let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
        self.now.checked_add_signed(time).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    fn info(&self) -> BatchInfo {
        BatchInfo {
            id: self.ticks,
            prev_tick: self.ticks,
            tick: self.ticks + 1,
            prev_tick_time: self.now,
            tick_time: self.now,
            event_ids: i64::try_from(self.pending.len()).unwrap_or(i64::MAX),
        }
    }

    /// Makes the due retry events pending again, in the order of ids.
    fn redeliver_due(&mut self) {
        let now = self.now;
        let due = self.retry_events.extract_if(.., |(time, _)| *time <= now).map(|(_, event)| event);
        self.pending.extend(due);
        self.pending.sort_by_key(|event| event.id);
    }

    /// Finishes the batch of the pending events.
    fn settle(&mut self, read: u64, tags: Tags) -> Processed {
        self.ticks += 1;
        let Tags { retries, failures, .. } = tags;
        let mut processed = Processed { events: read, ..Processed::default() };
        for (place, mut event) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            if let Some(seconds) = retries.get(&Tagged::of_test(event.id)) {
                let delay = Duration::from_secs(seconds.unsigned_abs().into());
                processed.retried.push((event.id, delay));
                event.retry += 1;
                self.retry_events.push((self.later(delay), event));
            } else if (place as u64) < read && !failures.contains_key(&Tagged::of_test(event.id)) {
                processed.done.push(event.id);
            }
        }
        processed.failed = failures.into_iter().map(|(event, reason)| (event.id, reason)).collect();
        processed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::outcome::Outcome;

    struct Scripted(fn(&Event) -> Result<Outcome, BoxError>);

    impl Consumer for Scripted {
        fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
            (self.0)(event)
        }
    }

    #[test]
    fn a_delayed_event_is_delivered_at_its_time() {
        let mut queue = FakeQueue::new("q");
        let id = queue.insert(&NewEvent::new("t", "d").at(DateTime::UNIX_EPOCH + TimeDelta::seconds(10)));
        let mut all = Scripted(|_| Ok(Outcome::Done));
        queue.advance(Duration::from_secs(9));
        assert_eq!(queue.deliver(&mut all).expect("no error").events, 0);
        queue.advance(Duration::from_secs(1));
        assert_eq!(queue.deliver(&mut all).expect("no error").done, [id]);
    }

    fn queue_of_three() -> FakeQueue {
        let mut queue = FakeQueue::new("q");
        for data in ["one", "two", "three"] {
            queue.insert(&NewEvent::new("n", data).extra([Some("x"), None, None, Some("y")]));
        }
        queue
    }

    #[test]
    fn events_are_what_was_inserted() {
        let mut consumer = Scripted(|event| {
            assert_eq!((event.event_type(), event.extra1(), event.extra2()), ("n", Some("x"), None));
            assert_eq!((event.extra3(), event.extra4(), event.retry()), (None, Some("y"), 0));
            Ok(Outcome::Done)
        });
        let mut queue = queue_of_three();
        assert_eq!(queue.deliver(&mut consumer).expect("no error").done, [1, 2, 3]);
        assert_eq!(queue.deliver(&mut consumer).expect("no error"), Processed::default());
    }

    #[test]
    fn an_error_leaves_the_batch_and_with_a_policy_only_its_event() {
        let mut consumer = Scripted(|event| match event.data() {
            Some("two") => Err("no".into()),
            Some("three") => panic!("never"),
            _ => Ok(Outcome::Done),
        });
        let mut queue = queue_of_three();
        let error = queue.deliver(&mut consumer).expect_err("the batch fails");
        assert_eq!(
            dbscript::describe(&*error),
            "cannot process the event (queue `q`, consumer `test`, batch 1, event 2): no"
        );

        let policy = RetryPolicy::fixed(Duration::from_secs(9)).max_retries(1);
        let mut queue = queue.retry_policy(policy);
        let processed = queue.deliver(&mut consumer).expect("the policy decides");
        assert_eq!(processed.done, [1]);
        assert_eq!(processed.retried, [(2, Duration::from_secs(9)), (3, Duration::from_secs(9))]);
        queue.advance(Duration::from_secs(9));
        let processed = queue.deliver(&mut consumer).expect("the policy decides");
        let reasons: Vec<&str> = processed.failed.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!((reasons[0], reasons[1].ends_with("never")), ("no", true));
    }

    #[test]
    fn events_that_come_back_are_in_their_places() {
        let mut queue = queue_of_three();
        let mut order = Vec::new();
        let mut later = Scripted(|event| match event.id() {
            2 => Ok(Outcome::Retry(Duration::from_secs(1))),
            _ => Ok(Outcome::Done),
        });
        queue.deliver(&mut later).expect("no error");
        queue.insert(&NewEvent::new("n", "four"));
        queue.advance(Duration::from_secs(1));
        order.extend(queue.deliver(&mut Scripted(|_| Ok(Outcome::Done))).expect("no error").done);
        assert_eq!(order, [2, 4]);
    }

    #[test]
    fn time_has_an_end() {
        let mut queue = queue_of_three();
        queue.advance(Duration::MAX);
        queue.advance(Duration::MAX);
        let mut later = Scripted(|_| Ok(Outcome::Retry(Duration::MAX)));
        assert_eq!(queue.deliver(&mut later).expect("no error").retried.len(), 3);
        assert_eq!(queue.deliver(&mut Scripted(|_| Ok(Outcome::Done))).expect("no error").done, [1, 2, 3]);
    }
}
