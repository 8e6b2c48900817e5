//! Endpoints: the servers of a connection string.

use std::fmt;
use std::net::IpAddr;

use postgres::config::Host;

/// A server of a connection string.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// A host name, which is compared with the certificate, or the folder of a socket.
    pub(crate) host: Host,
    /// The address to connect to instead of resolving the name. `None` for a folder.
    pub(crate) hostaddr: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) password: Option<String>,
}

/// Shows the host name or the folder.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(name) => f.write_str(name),
            Host::Unix(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// Hides the password.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .field("hostaddr", &self.hostaddr)
            .field("port", &self.port)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .finish()
    }
}
