//! Local sockets, opened here.
//!
//! The driver hands over only streams that it has opened by TCP. For a local socket it connects to this process; that
//! connection is closed unused, and the socket takes its place.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A server's socket, and an address of the loopback network that stands for it in the driver's configuration.
#[derive(Clone)]
pub(crate) struct LocalSocket {
    path: Arc<PathBuf>,
    stand_in: SocketAddr,
}

impl LocalSocket {
    /// Chooses the address for the socket of a port in a folder. The listener must live until the driver has its
    /// stream; nothing is sent to others that connect to it.
    ///
    /// # Errors
    ///
    /// When there is no loopback network.
    pub(crate) fn new(folder: &Path, port: u16) -> io::Result<(LocalSocket, TcpListener)> {
        let listener = TcpListener::bind((any_loopback(), 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let stand_in = listener.local_addr()?;
        let path = Arc::new(folder.join(format!(".s.PGSQL.{port}")));
        Ok((LocalSocket { path, stand_in }, listener))
    }

    pub(crate) fn stand_in(&self) -> SocketAddr {
        self.stand_in
    }

    /// Listens at the address again, for a further connection to the same server.
    ///
    /// # Errors
    ///
    /// When another program listens there.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.stand_in)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Returns a random address of the loopback network: most of them have no port in use.
fn any_loopback() -> Ipv4Addr {
    let [one, two, three, ..] = RandomState::new().hash_one(0).to_ne_bytes();
    // Neither the first address nor the last one of the network.
    Ipv4Addr::new(127, one, two, three.clamp(2, 254))
}
