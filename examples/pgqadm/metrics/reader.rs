//! A thread that reads from one database.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use dbscript::{BoxError, Control, Databases, describe};
use log::{debug, error};
use pgq::ErrorKind;
use pgq::postgres::Client;
use tokio::sync::oneshot;

use crate::DB;

/// A thread that reads from one database, and its connection. Dropping the value ends the thread and cancels its read.
pub(super) struct Reader {
    /// The database's name. Until the first successful read, the name in its connection string.
    pub(super) name: String,
    control: Control,
    reads: Sender<Read>,
}

/// A read, which sends its result by itself.
type Read = Box<dyn FnOnce(&mut Databases) + Send>;

/// The result of a read, to be received.
pub(super) type Result<T> = std::result::Result<T, Failure>;

/// Why a database could not be read.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The error, without secrets and without data of events.
    pub(super) text: String,
    /// Whether the object does not exist.
    pub(super) is_missing: bool,
}

impl Reader {
    /// Starts the thread for a connection string. `fallback` is the database's name if the connection string has none.
    pub(super) fn start(fallback: String, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.pin_search_path();
        databases.set(DB, conninfo);
        let name = databases.dbname(DB).unwrap_or(fallback);
        let (reads, received) = channel();
        let thread = thread::Builder::new().name("metrics_read".to_owned());
        if let Err(failed) = thread.spawn(move || read_all(databases, &received)) {
            error!("cannot read metrics: {}", describe(&failed));
        }
        Reader { name, control, reads }
    }

    /// Requests a read. Without a thread, the receiver returns an error.
    pub(super) fn request<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Client) -> std::result::Result<T, pgq::Error> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (sender, answer) = oneshot::channel();
        let read: Read = Box::new(move |databases| {
            // A client that has gone, or no longer waits, needs no answer.
            if !sender.is_closed() {
                let _ = sender.send(run(databases, read));
            }
        });
        let _ = self.reads.send(read);
        answer
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn read_all(mut databases: Databases, reads: &Receiver<Read>) {
    for read in reads {
        read(&mut databases);
    }
}

/// Runs a read on the database's connection, which is opened again after a failure.
fn run<T>(
    databases: &mut Databases,
    read: impl FnOnce(&mut Client) -> std::result::Result<T, pgq::Error>,
) -> Result<T> {
    let result = match databases.get(DB) {
        Ok(mut connection) => read(&mut connection).map_err(|error| (error.kind(), BoxError::from(error))),
        Err(error) => Err((ErrorKind::Failed, error.into())),
    };
    result.map_err(|(kind, error)| {
        databases.reset();
        let text = describe(&*error);
        debug!("metrics: {text}");
        Failure { text, is_missing: kind == ErrorKind::Missing }
    })
}
