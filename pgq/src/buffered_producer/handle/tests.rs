use std::sync::OnceLock;
use std::time::Instant;

use dbscript::{BoxError, Context, Round, Script, Worker};
use log::{LevelFilter, Log, Metadata, Record};

use super::*;
use crate::buffered_producer::buffer::{Buffer, Limits};
use crate::{Error, OwnedEvent, RetryPolicy};

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
            Some(_) => self.0.attempted(&Err(Error::missing("there is no queue"))),
            None => cx.control().stop(),
        }
        Ok(Round::Worked)
    }
}

#[test]
fn what_a_dropped_producer_could_not_insert_is_logged() {
    log::set_logger(lines()).expect("no other test has one");
    log::set_max_level(LevelFilter::Error);
    let limits = Limits { events: 10, bytes: usize::MAX, delay: HOUR, retry: RetryPolicy::fixed(HOUR) };
    let shared = Arc::new(Shared::new(Buffer::new("q", limits)));
    let worker = Worker::new("refusing").spawn(Refuse(shared.clone())).expect("a thread");
    let handle = Handle::new("q".to_owned(), shared.clone(), HOUR, worker);
    for n in 0..3 {
        shared.send(OwnedEvent::new("t", n.to_string()), Some(Instant::now())).expect("there is room");
    }
    drop(handle);
    let lines = lines().0.lock().expect("no panic").clone();
    let expected = "queue `q`: 3 events were not inserted: there is no queue".to_owned();
    assert!(lines.contains(&expected), "{lines:?}");
}
