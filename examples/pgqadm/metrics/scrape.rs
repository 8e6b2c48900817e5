//! Reads the status of databases, each on a thread and a connection of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use dbscript::{BoxError, Control, Databases, describe};
use hyper::body::Bytes;
use log::{debug, error};
use pgq::status::Status;
use pgq::status::metrics::render;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::DB;

/// The time-out of all answers of a scrape.
const READ_LIMIT: Duration = Duration::from_secs(8);

/// Returns a name and a connection string of each database.
type List = Box<dyn Fn() -> Vec<(String, String)> + Send>;

/// The metrics of all databases.
pub(super) struct Metrics {
    scraper: Mutex<Scraper>,
    scrapes: AtomicU64,
}

struct Scraper {
    databases: List,
    /// The readers by connection string.
    readers: BTreeMap<String, Reader>,
    text: Bytes,
}

/// A request for the status, by the sender of its answer.
type Request = oneshot::Sender<Status>;

/// A thread that reads the status of one database. Dropping the value ends the thread and cancels its read.
struct Reader {
    /// The database's name. Until the first successful read, the name in its connection string.
    name: String,
    control: Control,
    requests: Sender<Request>,
}

impl Metrics {
    pub(super) fn new(databases: List) -> Metrics {
        let scraper = Scraper { databases, readers: BTreeMap::new(), text: Bytes::new() };
        Metrics { scraper: Mutex::new(scraper), scrapes: AtomicU64::new(0) }
    }

    /// Returns the metrics as text. Concurrent requests share a scrape, so that their number does not delay the answer.
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
            self.readers.entry(conninfo).or_insert_with_key(|conninfo| Reader::start(name, conninfo));
        }
        let answers: Vec<_> = self.readers.values().map(Reader::request).collect();
        let (mut read, mut failed) = (Vec::new(), Vec::new());
        for (reader, answer) in self.readers.values_mut().zip(answers) {
            match timeout_at(deadline, answer).await {
                Ok(Ok(status)) => {
                    reader.name.clone_from(&status.database);
                    read.push(status);
                }
                _ => failed.push(reader.name.clone()),
            }
        }
        render(&read, &failed)
    }
}

impl Reader {
    /// Starts the thread for a connection string. `fallback` is the database's name if the connection string has none.
    fn start(fallback: String, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.pin_search_path();
        databases.set(DB, conninfo);
        let name = databases.dbname(DB).unwrap_or(fallback);
        let (requests, received) = channel();
        let thread = thread::Builder::new().name("metrics_read".to_owned());
        if let Err(failed) = thread.spawn(move || answer_all(databases, &received)) {
            error!("cannot read metrics: {}", describe(&failed));
        }
        Reader { name, control, requests }
    }

    /// Requests the status. The receiver returns an error if the database cannot be read.
    fn request(&self) -> oneshot::Receiver<Status> {
        let (request, answer) = oneshot::channel();
        // Without a thread, the request is dropped here, and the receiver returns an error.
        let _ = self.requests.send(request);
        answer
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn answer_all(mut databases: Databases, requests: &Receiver<Request>) {
    // A scrape that has ended needs no answer.
    for request in requests.iter().filter(|request| !request.is_closed()) {
        match read(&mut databases) {
            Ok(status) => {
                let _ = request.send(status);
            }
            Err(failed) => {
                debug!("metrics: {}", describe(&*failed));
                databases.reset();
            }
        }
    }
}

fn read(databases: &mut Databases) -> Result<Status, BoxError> {
    Ok(Status::read(&mut *databases.get(DB)?)?)
}
