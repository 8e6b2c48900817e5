//! Targets: completed connection strings.

use std::fmt;

use tokio_postgres::Config;

use super::{DeadPeerDetection, Endpoint, SessionAttrs};
use crate::database::tls::TlsSettings;

/// A connection string with the values that libpq would add.
#[derive(Clone)]
pub(crate) struct Target {
    /// The servers to try, in order; never empty.
    pub(crate) hosts: Vec<Endpoint>,
    /// The settings of all hosts: user, database, options, time-outs. Contains no hosts, ports, passwords or TLS
    /// settings.
    pub(crate) common: Config,
    pub(crate) tls: TlsSettings,
    pub(crate) session: SessionAttrs,
    pub(crate) dead_peer: DeadPeerDetection,
    /// True if the hosts are tried in a random order (`load_balance_hosts`).
    pub(crate) shuffled: bool,
}

/// Shows database, hosts, ports and user.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
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

/// Hides secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("hosts", &self.hosts)
            .field("common", &self.common)
            .field("tls", &self.tls)
            .field("session", &self.session)
            .field("dead_peer", &self.dead_peer)
            .field("shuffled", &self.shuffled)
            .finish()
    }
}
