//! Reading all databases, each on a thread and a connection of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::body::Bytes;
use pgq::admin::FailedEvent;
use pgq::status::Status;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::{Instant, timeout_at};

use super::reader::{Failure, Reader, Result};

/// The time-out of all answers of a reading.
const READ_LIMIT: Duration = Duration::from_secs(8);
/// The number of failed events on a page.
pub(super) const PAGE: u32 = 50;
/// The length to which the texts of failed events are cut, in characters: one more than a page shows.
const MAX_CHARS: u32 = 2_001;

/// Returns a name and a connection string of each database.
type List = Box<dyn Fn() -> Vec<(String, String)> + Send>;

/// The status of all databases at one moment, ordered by name.
pub(super) struct Reading {
    pub(super) databases: Vec<DatabaseReading>,
    /// When the last database had answered.
    pub(super) time: DateTime<Utc>,
    /// The metrics, which are rendered once for all requests that share the reading.
    pub(super) metrics: OnceLock<Bytes>,
    at: Instant,
}

impl Reading {
    pub(super) fn new(mut databases: Vec<DatabaseReading>) -> Reading {
        databases.sort_by(|one, other| one.name.cmp(&other.name));
        Reading { databases, time: Utc::now(), metrics: OnceLock::new(), at: Instant::now() }
    }

    /// Returns whether the reading still counts. Without databases, a ticker has just started.
    fn is_younger(&self, age: Duration) -> bool {
        !self.databases.is_empty() && self.at.elapsed() < age
    }
}

/// The status of one database, or why it could not be read.
pub(super) struct DatabaseReading {
    pub(super) name: String,
    pub(super) status: Result<Status>,
}

/// A page of a consumer's failed events, and the number of all of them.
pub(super) struct FailedPage {
    pub(super) events: Vec<FailedEvent>,
    pub(super) count: u64,
}

/// Reads the databases on request.
pub(super) struct Readings {
    readers: Mutex<Readers>,
    latest: AsyncMutex<Option<Arc<Reading>>>,
    /// The number of readings so far.
    count: AtomicU64,
}

/// The readers of the current databases, by connection string.
struct Readers {
    databases: List,
    running: BTreeMap<String, Reader>,
}

impl Readings {
    pub(super) fn new(databases: List) -> Readings {
        Readings {
            readers: Mutex::new(Readers { databases, running: BTreeMap::new() }),
            latest: AsyncMutex::new(None),
            count: AtomicU64::new(0),
        }
    }

    /// Returns the status of all databases, as of now or at most `max_age` ago. Concurrent requests share a reading, so
    /// that their number does not delay the answer.
    pub(super) async fn read(&self, max_age: Duration) -> Arc<Reading> {
        let before = self.count.load(Ordering::Relaxed);
        let mut latest = self.latest.lock().await;
        let is_shared = self.count.load(Ordering::Relaxed) != before;
        if let Some(reading) = &*latest
            && (is_shared || reading.is_younger(max_age))
        {
            return reading.clone();
        }
        let reading = Arc::new(self.read_all().await);
        self.count.fetch_add(1, Ordering::Relaxed);
        latest.insert(reading).clone()
    }

    /// Returns the first failed events of a consumer, or those after an event; `None` for an unknown database.
    pub(super) async fn failed_events(
        &self,
        database: &str,
        queue: &str,
        consumer: &str,
        after: Option<i64>,
    ) -> Option<Result<FailedPage>> {
        let deadline = Instant::now() + READ_LIMIT;
        let (queue, consumer) = (queue.to_owned(), consumer.to_owned());
        let answer = self.readers().find(database)?.request(move |client| {
            let count = pgq::admin::count_failed_events(client, &queue, &consumer)?;
            let events = pgq::admin::failed_event_page(client, &queue, &consumer, after, PAGE, MAX_CHARS)?;
            Ok(FailedPage { events, count })
        });
        Some(received(answer, deadline).await)
    }

    async fn read_all(&self) -> Reading {
        let deadline = Instant::now() + READ_LIMIT;
        let requested = self.readers().request_all();
        let mut databases = Vec::with_capacity(requested.len());
        for (conninfo, name, answer) in requested {
            let status = received(answer, deadline).await;
            let name = match &status {
                Ok(status) => self.readers().rename(&conninfo, &status.database),
                Err(_) => name,
            };
            databases.push(DatabaseReading { name, status });
        }
        Reading::new(databases)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    /// Starts and ends readers to match the databases.
    fn follow(&mut self) {
        let databases = (self.databases)();
        self.running.retain(|conninfo, _| databases.iter().any(|(_, listed)| listed == conninfo));
        for (name, conninfo) in databases {
            self.running.entry(conninfo).or_insert_with_key(|conninfo| Reader::start(name, conninfo));
        }
    }

    /// Requests the status of each database. Returns its connection string, its name and the answer.
    fn request_all(&mut self) -> Vec<(String, String, oneshot::Receiver<Result<Status>>)> {
        self.follow();
        let request = |reader: &Reader| reader.request(Status::read);
        let running = self.running.iter();
        running.map(|(conninfo, reader)| (conninfo.clone(), reader.name.clone(), request(reader))).collect()
    }

    fn find(&mut self, database: &str) -> Option<&Reader> {
        self.follow();
        self.running.values().find(|reader| reader.name == database)
    }

    /// Sets the name of a database, and returns it.
    fn rename(&mut self, conninfo: &str, name: &str) -> String {
        if let Some(reader) = self.running.get_mut(conninfo) {
            name.clone_into(&mut reader.name);
        }
        name.to_owned()
    }
}

/// Waits for an answer.
async fn received<T>(answer: oneshot::Receiver<Result<T>>, deadline: Instant) -> Result<T> {
    let text = match timeout_at(deadline, answer).await {
        Ok(Ok(result)) => return result,
        Ok(Err(_)) => "its reader has ended".to_owned(),
        Err(_) => format!("no answer within {} seconds", READ_LIMIT.as_secs()),
    };
    Err(Failure { text, is_missing: false })
}
