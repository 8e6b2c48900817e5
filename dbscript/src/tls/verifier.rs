//! Who a server is.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::{host_name, old_certificate};

/// Who vouches for servers.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    pub(super) roots: Vec<CertificateDer<'static>>,
    /// Whether certificates may have been revoked.
    pub(super) revocable: bool,
}

/// Accepts the servers that libpq accepts.
///
/// That is what webpki accepts, and besides: names in the subject's common name where a certificate has no
/// alternative names of that kind, a self-signed certificate that is a root certificate itself, and
/// certificates of version 1, which the usual recipes for a server's certificate have long produced.
#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    trusted: Option<Trusted>,
    name: bool,
}

impl Verifier {
    /// Trusts everybody without `trusted`; looks at the host's name too with `name`.
    pub(super) fn new(provider: &CryptoProvider, trusted: Option<Trusted>, name: bool) -> Verifier {
        Verifier { algorithms: provider.signature_verification_algorithms, trusted, name }
    }

    fn verify_chain(
        &self,
        trusted: &Trusted,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = trusted.webpki.verify_server_cert(leaf, intermediates, server_name, &[], now);
        let Err(error) = verified else { return Ok(()) };
        match error {
            // The name is looked at after everything else, and again by `verify_name`.
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Ok(()),
            _ if trusted.revocable => Err(error),
            _ => old_certificate::verify(leaf, &trusted.roots, self.algorithms, now).unwrap_or(Err(error)),
        }
    }
}

fn verify_name(leaf: &CertificateDer<'_>, server_name: &ServerName<'_>) -> Result<(), Error> {
    let leaf = Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let host = server_name.to_str();
    let names = host_name::names(&leaf);
    if names.include(&host) {
        return Ok(());
    }
    let other = OtherName(format!("it is for {names}, not for `{host}`"));
    Err(CertificateError::Other(OtherError(Arc::new(other))).into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trusted) = &self.trusted {
            self.verify_chain(trusted, leaf, intermediates, server_name, now)?;
        }
        if self.name {
            verify_name(leaf, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match old_certificate::key(leaf) {
            Some(key) => old_certificate::verify_tls12_signature(message, &key, signed, &self.algorithms),
            None => verify_tls12_signature(message, leaf, signed, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match old_certificate::key(leaf) {
            Some(key) => old_certificate::verify_tls13_signature(message, &key, signed, &self.algorithms),
            None => verify_tls13_signature(message, leaf, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct OtherName(String);

impl fmt::Display for OtherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OtherName {}
