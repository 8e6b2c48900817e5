//! What a connection string means.

use std::fmt;
use std::net::IpAddr;

use postgres::Config;
use postgres::config::Host;

use crate::tls::TlsSettings;

/// A connection string with all that libpq would add to it.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where to try, in order; never empty.
    pub(crate) hosts: Vec<Endpoint>,
    /// What is the same for every host: user, database, options, timeouts; without hosts, ports, password and TLS.
    pub(crate) common: Config,
    #[allow(dead_code, reason = "connections are not encrypted yet")]
    pub(crate) tls: TlsSettings,
    pub(crate) session: SessionAttrs,
    /// Whether the hosts are tried in a random order (`load_balance_hosts`).
    pub(crate) shuffled: bool,
}

/// One server to try.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// A name, which a certificate may have to match, or the folder of a socket.
    pub(crate) host: Host,
    /// Where to connect to instead of asking for the name's address.
    pub(crate) hostaddr: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) password: Option<String>,
}

/// What kind of session is wanted (`target_session_attrs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the driver's parser does not know all of them")]
pub(crate) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// Names database, hosts, ports and user.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(Endpoint::name).collect();
        let mut ports: Vec<_> = self.hosts.iter().map(|endpoint| endpoint.port.to_string()).collect();
        if ports.windows(2).all(|two| two[0] == two[1]) {
            ports.truncate(1);
        }
        write!(
            f,
            "database `{}` at `{}` port {} as user `{}`",
            self.common.get_dbname().unwrap_or_default(),
            hosts.join(","),
            ports.join(","),
            self.common.get_user().unwrap_or_default()
        )
    }
}

/// Never shows a secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("hosts", &self.hosts)
            .field("common", &self.common)
            .field("tls", &self.tls)
            .field("session", &self.session)
            .field("shuffled", &self.shuffled)
            .finish()
    }
}

impl Endpoint {
    fn name(&self) -> String {
        match &self.host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
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
