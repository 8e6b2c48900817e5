//! Connections to PostgreSQL: connection strings, TLS, streams, pools, notifications.

pub(crate) mod blocking;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod conninfo;
pub(crate) mod databases;
pub(crate) mod listen;
pub mod param;
pub(crate) mod pool;
pub(crate) mod tls;
pub(crate) mod transport;
