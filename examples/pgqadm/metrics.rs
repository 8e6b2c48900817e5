//! The status of databases and of the process over HTTP: `/metrics`, `/live`, `/ready`.

mod clients;
mod http;
mod reader;
mod rendered;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use dbscript::{BoxError, Error};
use log::info;
use pgq::status::Status;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::reader::Reader;

/// How the process is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    /// Whether its rounds go on.
    pub(crate) live: bool,
    /// Whether it has reached a database lately.
    pub(crate) ready: bool,
}

/// A server of metrics, which ends together with this value.
pub(crate) struct Server {
    _listener: Arc<TcpListener>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server tells about.
struct Subject {
    /// Returns a name and a connection string of each database.
    databases: Box<dyn Fn() -> Vec<(String, String)> + Send>,
    alive: Box<dyn Fn() -> Alive + Send>,
    /// By connection string.
    readers: BTreeMap<String, Reader>,
}

impl Server {
    /// Starts a server on an address such as `127.0.0.1:9187`, which is asked about the `databases` of the
    /// moment, each by a name and its connection string. Each is read on a thread and a connection of its own.
    ///
    /// Returns `None` as long as another server of this process has the port on another address: at a reload the
    /// old one ends after the new one was to start.
    pub(crate) fn start(
        listen: &str,
        databases: impl Fn() -> Vec<(String, String)> + Send + 'static,
        alive: impl Fn() -> Alive + Send + 'static,
    ) -> Result<Option<Server>, BoxError> {
        let failed = |error| cannot_serve(listen, error);
        let Some(listener) = bind(listen).map_err(failed)? else { return Ok(None) };
        let socket = listener.try_clone().map_err(failed)?;
        let runtime = http::runtime().map_err(failed)?;
        let subject =
            Subject { databases: Box::new(databases), alive: Box::new(alive), readers: BTreeMap::new() };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || http::serve(&runtime, socket, subject, stopped)).map_err(failed)?;
        info!("serving metrics on {listen}");
        Ok(Some(Server { _listener: listener, stop: Some(stop), thread: Some(thread) }))
    }
}

fn cannot_serve(listen: &str, error: io::Error) -> Error {
    let message = format!("cannot serve metrics on `{listen}`");
    match error.kind() {
        // What is no address is a mistake in the file.
        ErrorKind::InvalidInput => Error::usage(message),
        _ => Error::failed(message),
    }
    .caused_by(error)
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already needs no telling, and its panic was told.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Opens a socket, or takes the one that another server of this process has: at a reload, the next one starts
/// before the old one ends. `None` when that one keeps the port from this address.
fn bind(listen: &str) -> io::Result<Option<Arc<TcpListener>>> {
    static OPEN: Mutex<Vec<(String, Weak<TcpListener>)>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|(_, listener)| listener.strong_count() > 0);
    let known = open.iter().find(|(address, _)| address == listen);
    if let Some(listener) = known.and_then(|(_, listener)| listener.upgrade()) {
        return Ok(Some(listener));
    }
    let listener = match TcpListener::bind(listen) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_ours(&open, listen) => return Ok(None),
        bound => Arc::new(bound?),
    };
    listener.set_nonblocking(true)?;
    open.push((listen.to_owned(), Arc::downgrade(&listener)));
    Ok(Some(listener))
}

/// Returns whether a server of this process has the port of an address.
fn is_ours(open: &[(String, Weak<TcpListener>)], listen: &str) -> bool {
    let wanted = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let ports = open.iter().filter_map(|(_, listener)| listener.upgrade()?.local_addr().ok());
    ports.map(|address| address.port()).any(|port| Some(port) == wanted)
}

impl Subject {
    /// Asks all databases at once. Returns a future of their states, and of the names of those that have not answered
    /// until `deadline`.
    fn read(&mut self, deadline: Instant) -> impl Future<Output = (Vec<Arc<Status>>, Vec<String>)> + use<> {
        let databases = (self.databases)();
        self.readers.retain(|conninfo, _| databases.iter().any(|(_, known)| known == conninfo));
        let mut answers = Vec::new();
        for (name, conninfo) in databases {
            let reader =
                self.readers.entry(conninfo.clone()).or_insert_with(|| Reader::start(&name, &conninfo));
            answers.push((reader.name(), reader.ask()));
        }
        async move {
            let (mut read, mut failed) = (Vec::new(), Vec::new());
            for (name, answer) in answers {
                let answer = async { answer?.await.ok()? };
                match timeout_at(deadline, answer).await {
                    Ok(Some(status)) => read.push(status),
                    _ => failed.push(name),
                }
            }
            (read, failed)
        }
    }
}
