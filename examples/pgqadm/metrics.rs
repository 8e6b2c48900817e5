//! The status of databases and of the process over HTTP: `/metrics`, `/live`, `/ready`.

mod http;
mod scrape;

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use dbscript::{BoxError, Error};
use log::info;
use tokio::runtime::Runtime;

use self::http::Served;
use self::scrape::Metrics;

/// The health of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    /// True unless all tickers are stuck in a round.
    pub(crate) is_live: bool,
    /// True if a ticker has reached its database recently.
    pub(crate) is_ready: bool,
}

/// The metrics server of the process, if there is one. A reload keeps the server unless the address changes.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Option<Running>>>);

/// A server that ends together with its runtime.
struct Running {
    listen: String,
    _runtime: Runtime,
}

impl Server {
    /// Serves on an address such as `127.0.0.1:9187`, or ends the server with `None`. `databases` returns a name and a
    /// connection string of each current database.
    pub(crate) fn listen(
        &self,
        listen: Option<&str>,
        databases: impl Fn() -> Vec<(String, String)> + Send + 'static,
        health: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<(), BoxError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listen) = listen else {
            *running = None;
            return Ok(());
        };
        if running.as_ref().is_none_or(|running| running.listen != listen) {
            let served = Served { metrics: Metrics::new(Box::new(databases)), health: Box::new(health) };
            let runtime = bind(listen, &mut running).and_then(|socket| http::serve(socket, served));
            let runtime = runtime.map_err(|error| cannot_serve(listen, error))?;
            *running = Some(Running { listen: listen.to_owned(), _runtime: runtime });
            info!("serving metrics on {listen}");
        }
        Ok(())
    }
}

/// Opens a socket. A server that has the port on another address ends first.
fn bind(listen: &str, running: &mut Option<Running>) -> io::Result<TcpListener> {
    let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
    let has_port = running.as_ref().is_some_and(|running| port(&running.listen) == port(listen));
    match TcpListener::bind(listen) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && has_port => {
            *running = None;
            TcpListener::bind(listen)
        }
        bound => bound,
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
