//! The hosts of a connection string, with their ports and passwords.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use postgres::config::Host;

use super::Endpoint;
use super::environment::Environment;
use super::keywords::is_blank;
use super::options::Options;
use super::passfile::Passfile;
use crate::error::Error;

const DEFAULT_PORT: &str = "5432";
/// The name of the local server in a password file.
const LOCALHOST: &str = "localhost";
const PASSFILE: &str = ".pgpass";

/// Reads the lists of hosts, addresses and ports. The lists must have the same length, except that a single port
/// applies to all hosts. An empty host is the local socket's folder, an empty port is 5432.
pub(super) fn read(
    options: &Options,
    environment: &Environment<'_>,
    database: &str,
    user: &str,
) -> Result<Vec<Endpoint>, Error> {
    let places = places(options, environment)?;
    let ports = ports(options, places.len())?;
    let passwords = Passwords::new(options, environment);
    let endpoint = |(place, port): (Place, String)| {
        let password = passwords.find(place.file_name(environment), &port, database, user)?;
        let port = number(options, &port)?;
        Ok(Endpoint { host: place.host, hostaddr: place.address, port, password })
    };
    places.into_iter().zip(ports).map(endpoint).collect()
}

struct Place {
    host: Host,
    address: Option<IpAddr>,
    name: String,
}

impl Place {
    fn new(
        options: &Options,
        environment: &Environment<'_>,
        host: &str,
        address: &str,
    ) -> Result<Place, Error> {
        if !address.is_empty() {
            let parsed = address.parse().map_err(|_| options.invalid("hostaddr", "not an IP address"))?;
            // A password file may contain the folder of a socket, but a certificate contains no folder.
            let tcp = if host.is_empty() || host.starts_with('/') { address } else { host };
            let name = if host.is_empty() { address } else { host };
            return Ok(Place {
                host: Host::Tcp(tcp.to_owned()),
                address: Some(parsed),
                name: name.to_owned(),
            });
        }
        if host.starts_with('@') {
            return Err(options.invalid("host", "sockets in the abstract namespace are not supported"));
        }
        let name = if host.is_empty() { environment.socket_folder() } else { host };
        let host = match name.strip_prefix('/') {
            Some(_) => Host::Unix(PathBuf::from(name)),
            None => Host::Tcp(name.to_owned()),
        };
        Ok(Place { host, address: None, name: name.to_owned() })
    }

    /// Returns the host's name in a password file.
    fn file_name(&self, environment: &Environment<'_>) -> &str {
        if self.name == environment.socket_folder() { LOCALHOST } else { &self.name }
    }
}

fn places(options: &Options, environment: &Environment<'_>) -> Result<Vec<Place>, Error> {
    let hosts = list(options, "host");
    let addresses = list(options, "hostaddr");
    let count = if addresses.is_empty() { hosts.len().max(1) } else { addresses.len() };
    if !hosts.is_empty() && hosts.len() != count {
        return Err(mismatch(hosts.len(), "hosts", count, "`hostaddr` values"));
    }
    let at = |list: &[&'_ str], index: usize| list.get(index).copied().unwrap_or_default().to_owned();
    (0..count)
        .map(|index| Place::new(options, environment, &at(&hosts, index), &at(&addresses, index)))
        .collect()
}

fn ports(options: &Options, count: usize) -> Result<Vec<String>, Error> {
    let mut ports = list(options, "port");
    if ports.len() <= 1 {
        ports = vec![ports.first().copied().unwrap_or_default(); count];
    }
    if ports.len() != count {
        return Err(mismatch(ports.len(), "ports", count, "hosts"));
    }
    let or_default = |port: &str| if port.is_empty() { DEFAULT_PORT } else { port }.to_owned();
    Ok(ports.into_iter().map(or_default).collect())
}

fn list<'a>(options: &'a Options, keyword: &str) -> Vec<&'a str> {
    options.given(keyword).map(|list| list.split(',').collect()).unwrap_or_default()
}

fn mismatch(count: usize, items: &str, other_count: usize, others: &str) -> Error {
    Error::usage(format!("invalid connection string: {count} {items} for {other_count} {others}"))
}

fn number(options: &Options, port: &str) -> Result<u16, Error> {
    let number = port.trim_matches(is_blank).parse::<u16>().ok().filter(|number| *number != 0);
    number.ok_or_else(|| options.invalid("port", "not a number from 1 to 65535"))
}

/// The source of passwords.
enum Passwords<'a> {
    Same(&'a str),
    File(Passfile),
    None,
}

impl<'a> Passwords<'a> {
    fn new(options: &'a Options, environment: &Environment<'_>) -> Passwords<'a> {
        if let Some(password) = options.given("password") {
            return Passwords::Same(password);
        }
        let path = options.given("passfile").map(|path| Path::new(path).to_owned());
        match path.or_else(|| environment.home_file(PASSFILE)) {
            Some(path) => Passwords::File(Passfile::read(&path)),
            None => Passwords::None,
        }
    }

    fn find(&self, host: &str, port: &str, database: &str, user: &str) -> Result<Option<String>, Error> {
        match self {
            Passwords::Same(password) => Ok(Some((*password).to_owned())),
            Passwords::File(file) => file.find(host, port, database, user),
            Passwords::None => Ok(None),
        }
    }
}
