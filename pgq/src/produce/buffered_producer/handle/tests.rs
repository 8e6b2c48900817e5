use crate::error::ErrorKind;
use std::sync::{Once, OnceLock};
use std::time::Instant;

use dbscript::{BoxError, Context, Round, Script, Worker};
use log::{LevelFilter, Log, Metadata, Record};

use super::*;
use crate::error::Error;
use crate::event::owned_event::OwnedEvent;
use crate::produce::buffered_producer::pending_events::{BufferLimits, PendingEvents};
use dbscript::Backoff;

const HOUR: Duration = Duration::from_secs(3600);

/// Keeps what the tests of this crate log.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().expect("no panic").push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(Lines::default)
}

/// Refuses every batch.
struct Refuse(Arc<Shared>);

impl Script for Refuse {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        match self.0.next_batch() {
            Some(_) => drop(self.0.attempted(Err(Error::missing("there is no queue")))),
            None => cx.control().stop(),
        }
        Ok(Round::Worked)
    }
}

/// Returns a producer of a queue with three events that cannot be inserted.
fn refused(queue: &str) -> Handle {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(lines()).expect("no other test has one");
        log::set_max_level(LevelFilter::Error);
    });
    let limits = BufferLimits { events: 10, bytes: usize::MAX, delay: HOUR, retry: Backoff::fixed(HOUR) };
    let shared = Arc::new(Shared::new(PendingEvents::new(queue, limits)));
    let worker = Worker::new("refusing").spawn(Refuse(shared.clone())).expect("a thread");
    let handle = Handle::new(queue.to_owned(), shared.clone(), HOUR, worker);
    for n in 0..3 {
        shared.send(OwnedEvent::new("t", n.to_string()), Some(Instant::now())).expect("there is room");
    }
    handle
}

/// Returns how often the loss of these events was logged.
fn logged(queue: &str) -> usize {
    let expected = format!("queue `{queue}`: 3 events were not inserted: there is no queue");
    lines().0.lock().expect("no panic").iter().filter(|line| **line == expected).count()
}

#[test]
fn events_that_a_dropped_producer_could_not_insert_are_logged() {
    drop(refused("dropped"));
    assert_eq!(logged("dropped"), 1);
}

#[test]
fn closing_again_returns_the_same_error_without_events() {
    let handle = refused("closed");
    assert_eq!(handle.close().expect_err("refused").events().len(), 3);
    for _ in 0..2 {
        let again = handle.close().expect_err("not all was inserted");
        assert!(again.events().is_empty() && again.error().kind() == ErrorKind::Missing, "{again:?}");
    }
    drop(handle);
    assert_eq!(logged("closed"), 0, "the first close has returned the events");
}

#[cfg(feature = "tokio")]
#[test]
fn events_left_by_closing_are_logged_unless_they_are_taken() {
    use crate::produce::buffered_producer::unclaimed::Unclaimed;

    let (send, receive) = ::tokio::sync::oneshot::channel();
    assert!(send.send(Unclaimed::new(Arc::new(refused("unclaimed")))).is_ok());
    drop(receive);
    assert_eq!(logged("unclaimed"), 1, "the result was on its way");
    let lost = Unclaimed::new(Arc::new(refused("claimed"))).take().expect_err("refused");
    assert_eq!((lost.events().len(), logged("claimed")), (3, 0));
}
