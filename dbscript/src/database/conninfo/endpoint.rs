//! One server to try.

use std::fmt;
use std::net::IpAddr;

use postgres::config::Host;

/// One server to try.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// A name, which a certificate may have to match, or the folder of a socket.
    pub(crate) host: Host,
    /// Where to connect to instead of asking for the name's address. There is none for a folder.
    pub(crate) hostaddr: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) password: Option<String>,
}

/// Shows the name of the host or the folder.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(name) => f.write_str(name),
            Host::Unix(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// Never shows the password.
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
