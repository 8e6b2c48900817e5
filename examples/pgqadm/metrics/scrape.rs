//! Reads the status of databases, each on a thread and a connection of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbscript::{BoxError, Control, Databases, describe};
use hyper::body::Bytes;
use log::debug;
use pgq::status::Status;
use pgq::status::metrics::render;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::DB;

/// How long databases may take to answer.
const READ_LIMIT: Duration = Duration::from_secs(8);

/// Returns a name and a connection string of each database.
type List = Box<dyn Fn() -> Vec<(String, String)> + Send>;

/// The metrics of all databases.
pub(super) struct Metrics {
    scraper: tokio::sync::Mutex<Scraper>,
    scrapes: AtomicU64,
}

struct Scraper {
    databases: List,
    /// By connection string.
    readers: BTreeMap<String, Reader>,
    text: Bytes,
}

/// One database. What it reads is given up together with this value.
struct Reader {
    /// The database's own name, or that of its connection string until it has been reached.
    name: String,
    control: Control,
    databases: Arc<Mutex<Databases>>,
    reading: Option<JoinHandle<Option<Status>>>,
}

impl Metrics {
    pub(super) fn new(databases: List) -> Metrics {
        let scraper = Scraper { databases, readers: BTreeMap::new(), text: Bytes::new() };
        Metrics { scraper: tokio::sync::Mutex::new(scraper), scrapes: AtomicU64::new(0) }
    }

    /// Returns the metrics as text. A scrape that is under way answers this request too, so that it lasts no longer
    /// because many ask.
    pub(super) async fn text(&self) -> Bytes {
        let before = self.scrapes.load(Ordering::Relaxed);
        let mut scraper = self.scraper.lock().await;
        if self.scrapes.load(Ordering::Relaxed) == before {
            scraper.text = scraper.scrape().await.into();
            self.scrapes.fetch_add(1, Ordering::Relaxed);
        }
        scraper.text.clone()
    }
}

impl Scraper {
    async fn scrape(&mut self) -> String {
        let deadline = Instant::now() + READ_LIMIT;
        let databases = (self.databases)();
        self.readers.retain(|conninfo, _| databases.iter().any(|(_, listed)| listed == conninfo));
        for (name, conninfo) in databases {
            self.readers.entry(conninfo).or_insert_with_key(|conninfo| Reader::new(name, conninfo)).begin();
        }
        let (mut read, mut failed) = (Vec::new(), Vec::new());
        for reader in self.readers.values_mut() {
            match reader.status(deadline).await {
                Some(status) => read.push(status),
                None => failed.push(reader.name.clone()),
            }
        }
        render(&read, &failed)
    }
}

impl Reader {
    /// Makes one for a connection string; `fallback` names the database where that does not.
    fn new(fallback: String, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.pin_search_path();
        databases.set(DB, conninfo);
        let name = databases.dbname(DB).unwrap_or(fallback);
        Reader { name, control, databases: Arc::new(Mutex::new(databases)), reading: None }
    }

    /// Begins to read, unless a reading of an earlier scrape is still under way.
    fn begin(&mut self) {
        if self.reading.as_ref().is_none_or(JoinHandle::is_finished) {
            let databases = self.databases.clone();
            self.reading = Some(spawn_blocking(move || {
                read(&mut databases.lock().unwrap_or_else(PoisonError::into_inner))
            }));
        }
    }

    /// Returns the status; `None` when the database cannot be read until `deadline`.
    async fn status(&mut self, deadline: Instant) -> Option<Status> {
        let status = timeout_at(deadline, self.reading.as_mut()?).await.ok()?.ok()??;
        self.name.clone_from(&status.database);
        Some(status)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn read(databases: &mut Databases) -> Option<Status> {
    let status = databases.get(DB).map_err(BoxError::from).and_then(|mut db| Ok(Status::read(&mut *db)?));
    status
        .map_err(|failed| {
            debug!("metrics: {}", describe(&*failed));
            databases.reset();
        })
        .ok()
}
