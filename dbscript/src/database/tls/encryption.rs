//! TLS with rustls.

use std::io;
use std::sync::Arc;

use postgres::Socket;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as Rustls};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) use super::binding::of as channel_binding;
use super::{TlsSettings, client_config};
use crate::error::BoxError;
use crate::error::tls_failure::TlsFailure;

pub(super) type Encrypted = TlsStream<Socket>;

/// Encrypts connections as the settings want it.
#[derive(Clone)]
pub(crate) struct Encryption(Arc<ClientConfig>);

impl Encryption {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used.
    pub(crate) fn new(settings: &TlsSettings) -> Result<Encryption, BoxError> {
        Ok(Encryption(Arc::new(client_config::client_config(settings)?)))
    }

    pub(super) async fn handshake(self, host: &str, socket: Socket) -> Result<Encrypted, BoxError> {
        let name = ServerName::try_from(host.to_owned())?;
        let names_protocol = !self.0.alpn_protocols.is_empty();
        let stream = TlsConnector::from(self.0).connect(name, socket).await;
        let stream = stream.map_err(explain)?;
        // Without PostgreSQL's own question before the handshake, it may be a server of anything.
        if names_protocol && stream.get_ref().1.alpn_protocol().is_none() {
            return Err("the server does not say that it speaks PostgreSQL's protocol".into());
        }
        Ok(stream)
    }
}

/// Explains an error after the handshake: with TLS 1.3, servers refuse certificates only then.
pub(super) fn explain_late(error: io::Error) -> io::Error {
    if error.get_ref().is_some_and(|cause| cause.is::<Rustls>()) {
        return io::Error::other(TlsFailure::new(explain(error)));
    }
    error
}

/// Says what is wrong in the words of an operator.
fn explain(error: io::Error) -> BoxError {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Rustls>()) else {
        return error.into();
    };
    match cause {
        Rustls::InvalidCertificate(wrong) => {
            format!("the server's certificate is not accepted: {}", certificate(wrong)).into()
        }
        Rustls::AlertReceived(alert) => refused(*alert).into(),
        _ => error.into(),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    use CertificateError as Wrong;
    match wrong {
        Wrong::Expired => "it has expired".to_owned(),
        Wrong::NotValidYet => "it is not valid yet".to_owned(),
        Wrong::UnknownIssuer => "none of the root certificates vouches for it".to_owned(),
        Wrong::Revoked => "it was revoked".to_owned(),
        Wrong::UnknownRevocationStatus => {
            "the revocation list does not say whether it, or one above it, was revoked".to_owned()
        }
        Wrong::ExpiredRevocationList => "the revocation list has expired".to_owned(),
        Wrong::Other(why) => why.to_string(),
        other => other.to_string(),
    }
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => {
            "the server refuses the client's certificate: it does not know who issued it".to_owned()
        }
        AlertDescription::CertificateRequired => "the server wants a client's certificate".to_owned(),
        AlertDescription::ProtocolVersion => "the server does not speak such a version of TLS".to_owned(),
        alert => format!("the server refuses: {alert:?}"),
    }
}
