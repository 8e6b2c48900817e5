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

/// How long databases may take to answer.
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
    /// By connection string.
    readers: BTreeMap<String, Reader>,
    text: Bytes,
}

type Question = oneshot::Sender<Status>;

/// A thread that reads the status of one database. It ends together with this value, and so does what it reads.
struct Reader {
    /// The database's own name, or that of its connection string until it has been reached.
    name: String,
    control: Control,
    questions: Sender<Question>,
}

impl Metrics {
    pub(super) fn new(databases: List) -> Metrics {
        let scraper = Scraper { databases, readers: BTreeMap::new(), text: Bytes::new() };
        Metrics { scraper: Mutex::new(scraper), scrapes: AtomicU64::new(0) }
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
            self.readers.entry(conninfo).or_insert_with_key(|conninfo| Reader::start(name, conninfo));
        }
        let answers: Vec<_> = self.readers.values().map(Reader::ask).collect();
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
    /// Starts one for a connection string; `fallback` names the database where that does not.
    fn start(fallback: String, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.pin_search_path();
        databases.set(DB, conninfo);
        let name = databases.dbname(DB).unwrap_or(fallback);
        let (questions, asked) = channel();
        let thread = thread::Builder::new().name("metrics_read".to_owned());
        if let Err(failed) = thread.spawn(move || answer_all(databases, &asked)) {
            error!("cannot read metrics: {}", describe(&failed));
        }
        Reader { name, control, questions }
    }

    /// Asks for the status. The answer is an error when the database cannot be read.
    fn ask(&self) -> oneshot::Receiver<Status> {
        let (question, answer) = oneshot::channel();
        // Without a thread the question is dropped, which is an answer too.
        let _ = self.questions.send(question);
        answer
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn answer_all(mut databases: Databases, asked: &Receiver<Question>) {
    // A scrape that has ended needs no answer.
    for question in asked.iter().filter(|question| !question.is_closed()) {
        match read(&mut databases) {
            Ok(status) => {
                let _ = question.send(status);
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
