//! The status of databases and of the process over HTTP: `/metrics`, `/live`, `/ready`.

mod clients;
mod http;
mod reader;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use dbscript::{BoxError, Error};
use log::info;
use pgq::status::Status;
use pgq::status::metrics::render;
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
    pub(crate) fn start(
        listen: &str,
        databases: impl Fn() -> Vec<(String, String)> + Send + 'static,
        alive: impl Fn() -> Alive + Send + 'static,
    ) -> Result<Server, BoxError> {
        let failed = |error| Error::failed(format!("cannot serve metrics on `{listen}`")).caused_by(error);
        let listener = bind(listen).map_err(failed)?;
        let socket = listener.try_clone().map_err(failed)?;
        let runtime = http::runtime().map_err(failed)?;
        let subject =
            Subject { databases: Box::new(databases), alive: Box::new(alive), readers: BTreeMap::new() };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || http::serve(&runtime, socket, subject, stopped)).map_err(failed)?;
        info!("serving metrics on {listen}");
        Ok(Server { _listener: listener, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already needs no telling, and its panic was told.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Opens a socket, or takes the one that another server of this process has: at a reload, the next one starts
/// before the old one ends.
fn bind(listen: &str) -> std::io::Result<Arc<TcpListener>> {
    static OPEN: Mutex<Vec<(String, Weak<TcpListener>)>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|(_, listener)| listener.strong_count() > 0);
    let known = open.iter().find(|(address, _)| address == listen);
    if let Some(listener) = known.and_then(|(_, listener)| listener.upgrade()) {
        return Ok(listener);
    }
    let listener = TcpListener::bind(listen).map_err(|error| match same_port(&open, listen) {
        Some(ours) => std::io::Error::new(error.kind(), ours),
        None => error,
    })?;
    let listener = Arc::new(listener);
    listener.set_nonblocking(true)?;
    open.push((listen.to_owned(), Arc::downgrade(&listener)));
    Ok(listener)
}

/// Tells that the port is taken by a server of this process, which goes on until the next one has started.
fn same_port(open: &[(String, Weak<TcpListener>)], listen: &str) -> Option<String> {
    let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
    let (ours, _) = open.iter().find(|(address, _)| port(address) == port(listen))?;
    Some(format!(
        "this process serves them on `{ours}` already; another address with the same port takes a restart"
    ))
}

impl Subject {
    /// Asks all databases at once. Returns a future of the metrics that waits for them until `deadline`.
    fn read(&mut self, deadline: Instant) -> impl Future<Output = String> + use<> {
        let databases = (self.databases)();
        self.readers.retain(|conninfo, _| databases.iter().any(|(_, known)| known == conninfo));
        let mut answers = Vec::new();
        for (name, conninfo) in databases {
            let reader =
                self.readers.entry(conninfo.clone()).or_insert_with(|| Reader::start(&name, &conninfo));
            answers.push((reader.name(), reader.ask()));
        }
        async move {
            let (mut read, mut failed) = (Vec::<Arc<Status>>::new(), Vec::new());
            for (name, answer) in answers {
                let answer = async { answer?.await.ok()? };
                match timeout_at(deadline, answer).await {
                    Ok(Some(status)) => read.push(status),
                    _ => failed.push(name),
                }
            }
            render(&read, &failed)
        }
    }
}
