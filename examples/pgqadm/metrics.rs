//! The status of databases and of the process over HTTP: `/metrics`, `/live`, `/ready`.

mod http;
mod scrape;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use dbscript::{BoxError, Error};
use log::info;
use tokio::sync::oneshot;

use self::http::Served;
use self::scrape::Metrics;

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

impl Server {
    /// Starts a server on an address such as `127.0.0.1:9187`. `databases` returns a name and a connection string of
    /// each database that there is at the moment.
    ///
    /// Returns `None` while another server of this process uses the port on another address: a reload starts the new
    /// server before the old one ends.
    pub(crate) fn start(
        listen: &str,
        databases: impl Fn() -> Vec<(String, String)> + Send + 'static,
        alive: impl Fn() -> Alive + Send + Sync + 'static,
    ) -> Result<Option<Server>, BoxError> {
        let failed = |error| cannot_serve(listen, error);
        let Some(listener) = bind(listen).map_err(failed)? else { return Ok(None) };
        let socket = listener.try_clone().map_err(failed)?;
        let runtime = http::runtime().map_err(failed)?;
        let served = Served { metrics: Metrics::new(Box::new(databases)), alive: Box::new(alive) };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || http::serve(&runtime, socket, served, stopped)).map_err(failed)?;
        info!("serving metrics on {listen}");
        Ok(Some(Server { _listener: listener, stop: Some(stop), thread: Some(thread) }))
    }
}

fn cannot_serve(listen: &str, error: io::Error) -> Error {
    let message = format!("cannot serve metrics on `{listen}`");
    match error.kind() {
        // An invalid address is a mistake in the file.
        ErrorKind::InvalidInput => Error::usage(message),
        _ => Error::failed(message),
    }
    .caused_by(error)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the server has ended by itself, which it has logged.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Opens a socket, or shares the one of this process's last server when that has the same address and still runs.
/// Returns `None` when that server uses the port on another address.
fn bind(listen: &str) -> io::Result<Option<Arc<TcpListener>>> {
    static LAST: Mutex<Weak<TcpListener>> = Mutex::new(Weak::new());
    let wanted: Vec<SocketAddr> = listen.to_socket_addrs()?.collect();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(listener) = last.upgrade() {
        let used = listener.local_addr()?;
        if wanted.contains(&used) {
            return Ok(Some(listener));
        }
        if wanted.iter().any(|address| address.port() == used.port()) {
            return Ok(None);
        }
    }
    let listener = Arc::new(TcpListener::bind(&*wanted)?);
    listener.set_nonblocking(true)?;
    *last = Arc::downgrade(&listener);
    Ok(Some(listener))
}
