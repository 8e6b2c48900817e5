//! Local sockets, which the connector opens in place of a TCP connection of the driver (DESIGN.md, D86).

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
    /// Chooses the address that stands for the socket of a port in a folder. The returned listener must live until the
    /// driver has its stream. The listener sends nothing to other programs that connect to it.
    ///
    /// # Errors
    ///
    /// Fails if there is no loopback network.
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
    /// Fails if another program listens there.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.stand_in)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Returns a random address of the loopback network. Most of these addresses have no port in use.
fn any_loopback() -> Ipv4Addr {
    let [one, two, three, ..] = RandomState::new().hash_one(0).to_ne_bytes();
    // Neither the first address nor the last one of the network.
    Ipv4Addr::new(127, one, two, three.clamp(2, 254))
}
