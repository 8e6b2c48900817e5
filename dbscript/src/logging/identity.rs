//! The identity of the process in its log.

use std::net::{SocketAddr, ToSocketAddrs};

/// Names of the process and its host, for formats and for receivers that serve several processes.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) job_name: String,
    pub(super) service_name: String,
    pub(super) hostname: String,
    /// The host's address, or `0.0.0.0` if the host's name does not resolve.
    pub(super) hostaddr: String,
}

/// The lookup of the host's address, which may take time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostAddress {
    Resolved,
    /// Only if a format of the log shows it.
    IfShown,
}

impl Identity {
    /// Makes the identity of a job on this host. The host's address is resolved only with [`HostAddress::Resolved`].
    pub(super) fn of(job_name: &str, service_name: &str, host_address: HostAddress) -> Identity {
        let hostname = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let hostaddr = resolved(host_address, &hostname).unwrap_or_else(|| "0.0.0.0".to_owned());
        Identity { job_name: job_name.to_owned(), service_name: service_name.to_owned(), hostname, hostaddr }
    }
}

/// Returns the host's address, if the settings require the lookup and it finds one.
fn resolved(address: HostAddress, hostname: &str) -> Option<String> {
    if address == HostAddress::IfShown {
        return None;
    }
    let addresses = (hostname, 0).to_socket_addrs().ok()?;
    addresses.filter(SocketAddr::is_ipv4).map(|address| address.ip().to_string()).next()
}
