//! The status of databases and of the process over HTTP: pages for browsers, `/metrics`, `/live`, `/ready`.

mod access;
mod answer;
mod history;
mod http;
mod page;
mod reader;
mod reading;
mod scrape;
#[cfg(test)]
mod testing;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use dbscript::{BoxError, Error};
use log::{info, warn};
use tokio::runtime::Runtime;

use self::access::Access;
pub(crate) use self::access::Credentials;
use self::history::History;
use self::http::Served;
use self::reading::Readings;

/// The health of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    /// True unless all tickers are stuck in a round.
    pub(crate) is_live: bool,
    /// True if a ticker has reached its database recently.
    pub(crate) is_ready: bool,
}

/// The address of the server, and the user and the password that it requires.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    address: String,
    credentials: Option<Credentials>,
}

impl Listen {
    /// Makes the settings of a server. `address` has an address and a port, or a port of the loopback address.
    pub(crate) fn new(address: &str, credentials: Option<Credentials>) -> Listen {
        let address = match address.parse::<u16>() {
            Ok(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
            Err(_) => address.to_owned(),
        };
        Listen { address, credentials }
    }
}

/// The server of the process, if there is one. A reload keeps the server and its history unless the settings change.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Option<Running>>>);

/// A server that ends together with its runtime.
struct Running {
    listen: Listen,
    _runtime: Runtime,
}

impl Server {
    /// Serves, or ends the server with `None`. `databases` returns a name and a connection string of each current
    /// database.
    pub(crate) fn listen(
        &self,
        listen: Option<Listen>,
        databases: impl Fn() -> Vec<(String, String)> + Send + 'static,
        health: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Result<(), BoxError> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listen) = listen else {
            *running = None;
            return Ok(());
        };
        if running.as_ref().is_none_or(|running| running.listen != listen) {
            let address = &listen.address;
            let serve = |socket: TcpListener| {
                let access = access(&listen, socket.local_addr()?.ip());
                let (readings, history) = (Readings::new(Box::new(databases)), Mutex::<History>::default());
                http::serve(socket, Served { readings, history, access, health: Box::new(health) })
            };
            let runtime = bind(address, &mut running).and_then(serve);
            let runtime = runtime.map_err(|error| cannot_serve(address, error))?;
            info!("serving metrics on {address}");
            *running = Some(Running { listen, _runtime: runtime });
        }
        Ok(())
    }
}

/// Makes the rules of access, and warns of a server that every machine of the network can read.
fn access(listen: &Listen, address: IpAddr) -> Access {
    let access = Access::new(listen.credentials.clone(), address);
    if access.is_open() {
        let address = &listen.address;
        warn!("{address} serves the status without a password; set metrics_user and metrics_password");
    }
    access
}

/// Opens a socket. A server that has the port on another address ends first.
fn bind(listen: &str, running: &mut Option<Running>) -> io::Result<TcpListener> {
    let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
    let has_port = running.as_ref().is_some_and(|running| port(&running.listen.address) == port(listen));
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
