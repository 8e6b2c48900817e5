//! The drivers that open connections, one for each face.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use postgres::{Client, SimpleQueryMessage};
use tokio_postgres::Config;

use crate::database::transport::Connector;

/// A driver. Its futures of the blocking face are complete when they are made.
pub(crate) trait Driver {
    type Client;

    /// Finds the addresses of a host.
    async fn addresses(name: &str, port: u16) -> io::Result<Vec<IpAddr>>;

    async fn connect(config: Config, connector: Connector) -> Result<Self::Client, postgres::Error>;

    async fn simple_query(
        client: &mut Self::Client,
        statement: &str,
    ) -> Result<Vec<SimpleQueryMessage>, postgres::Error>;
}

/// The driver `postgres`, which blocks.
pub(crate) struct Blocking;

impl Driver for Blocking {
    type Client = Client;

    async fn addresses(name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
        Ok((name, port).to_socket_addrs()?.map(|address| address.ip()).collect())
    }

    async fn connect(config: Config, connector: Connector) -> Result<Client, postgres::Error> {
        postgres::Config::from(config).connect(connector)
    }

    async fn simple_query(
        client: &mut Client,
        statement: &str,
    ) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        client.simple_query(statement)
    }
}
