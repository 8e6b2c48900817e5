//! Connections to PostgreSQL: connection strings, TLS, streams, pools, notifications.

#[cfg(feature = "asynchronous")]
pub(crate) mod asynchronous;
pub(crate) mod blocking;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod conninfo;
pub(crate) mod databases;
pub(crate) mod listen;
pub(crate) mod own_session;
pub mod param;
pub(crate) mod pool;
pub(crate) mod session;
pub(crate) mod statement_cache;
pub(crate) mod tls;
pub(crate) mod transport;
