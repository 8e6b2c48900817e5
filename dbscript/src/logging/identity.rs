//! The identity of the process in its log.

use std::net::{SocketAddr, ToSocketAddrs};

/// Names of the process and its host, for formats and for receivers that serve several processes.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) job_name: String,
    pub(super) service_name: String,
    pub(super) hostname: String,
    /// The host's address, or `0.0.0.0` where its name does not resolve.
    pub(super) hostaddr: String,
}

impl Identity {
    /// Makes the identity of a job on this host. The host's address is looked up only with `resolve`.
    pub(super) fn of(job_name: &str, service_name: &str, resolve: bool) -> Identity {
        let hostname = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let hostaddr = resolve.then(|| address(&hostname)).flatten().unwrap_or_else(|| "0.0.0.0".to_owned());
        Identity { job_name: job_name.to_owned(), service_name: service_name.to_owned(), hostname, hostaddr }
    }
}

fn address(hostname: &str) -> Option<String> {
    let addresses = (hostname, 0).to_socket_addrs().ok()?;
    addresses.filter(SocketAddr::is_ipv4).map(|address| address.ip().to_string()).next()
}
