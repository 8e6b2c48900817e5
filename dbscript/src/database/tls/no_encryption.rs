//! The stand-in for encryption in a build without the feature `tls`.

use std::convert::Infallible;
use std::io;

use postgres::Socket;
use postgres::tls::{ChannelBinding, NoTlsStream};

use super::TlsSettings;
use crate::error::BoxError;

pub(crate) type Encrypted = NoTlsStream;

/// Encryption that is not available: no value of this type can exist.
#[derive(Clone)]
pub(crate) struct Encryption(Infallible);

impl Encryption {
    /// Reports that this build cannot encrypt.
    ///
    /// # Errors
    ///
    /// Always fails.
    pub(crate) fn new(_settings: &TlsSettings) -> Result<Encryption, BoxError> {
        Err("this build cannot encrypt: the feature `tls` of dbscript is off".into())
    }

    pub(crate) async fn handshake(self, _host: &str, _socket: Socket) -> Result<Encrypted, BoxError> {
        match self.0 {}
    }
}

/// Returns no binding, since there is no certificate.
pub(crate) fn channel_binding(_stream: &Encrypted) -> ChannelBinding {
    ChannelBinding::none()
}

/// Returns the error unchanged.
pub(crate) fn explain_late(error: io::Error) -> io::Error {
    error
}
