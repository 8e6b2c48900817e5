//! TLS with rustls.

use std::sync::Arc;

use postgres::Socket;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) use super::binding::of as channel_binding;
use super::refusal::explain;
pub(crate) use super::refusal::explain_late;
use super::{TlsSettings, client_config};
use crate::error::BoxError;

pub(crate) type Encrypted = TlsStream<Socket>;

/// Encrypts connections as the settings require.
#[derive(Clone)]
pub(crate) struct Encryption(Arc<ClientConfig>);

impl Encryption {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// Fails if one of the files cannot be used.
    pub(crate) fn new(settings: &TlsSettings) -> Result<Encryption, BoxError> {
        Ok(Encryption(Arc::new(client_config::client_config(settings)?)))
    }

    /// Encrypts a connection to a host, and verifies the host's certificate as the settings require.
    ///
    /// # Errors
    ///
    /// Fails if the server refuses the handshake, or its certificate is not accepted.
    pub(crate) async fn handshake(self, host: &str, socket: Socket) -> Result<Encrypted, BoxError> {
        let name = ServerName::try_from(host.to_owned())?;
        let requires_alpn = !self.0.alpn_protocols.is_empty();
        let stream = TlsConnector::from(self.0).connect(name, socket).await;
        let stream = stream.map_err(explain)?;
        // Without PostgreSQL's request before the handshake, the server may speak another protocol.
        if requires_alpn && stream.get_ref().1.alpn_protocol().is_none() {
            return Err(
                "the server does not name PostgreSQL's protocol (ALPN); set sslnegotiation=postgres".into()
            );
        }
        Ok(stream)
    }
}
