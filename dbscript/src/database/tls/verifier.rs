//! Who a server is.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::authorities::{Authorities, Bounds};
use super::host_name::{self, Names};
use super::{old_certificate, refusal};

/// Accepts the servers that libpq accepts, with the exceptions that [`Authorities`] tells.
///
/// That is what webpki accepts if the usages of keys allow it, and besides: names in the subject's common name
/// where a certificate has no alternative names of that kind, a self-signed certificate that is a root
/// certificate itself, and certificates of version 1.
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Option<Authorities>,
    name: bool,
}

impl Verifier {
    /// Trusts everybody without `authorities`; looks at the host's name too with `name`.
    pub(super) fn new(
        algorithms: WebPkiSupportedAlgorithms,
        authorities: Option<Authorities>,
        name: bool,
    ) -> Verifier {
        Verifier { algorithms, authorities, name }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads the names that count. webpki looks at the bounds of alternative names only.
fn names(leaf: &CertificateDer<'_>, bounds: Bounds) -> Result<Names, Error> {
    let leaf = Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let names = host_name::names(&leaf).ok_or_else(|| refusal::because("its names cannot be read"))?;
    match bounds {
        Bounds::Any => Ok(names),
        Bounds::Certain => names.without_common_name().ok_or_else(|| {
            refusal::because(
                "it has no alternative name, and an authority above it may not vouch for any name",
            )
        }),
    }
}

fn verify_name(names: &Names, server_name: &ServerName<'_>) -> Result<(), Error> {
    let host = server_name.to_str();
    if names.include(&host) {
        return Ok(());
    }
    Err(refusal::because(format!("it is for {names}, not for `{host}`")))
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
        let bounds = match &self.authorities {
            Some(authorities) => authorities.verify(leaf, intermediates, now)?,
            None => Bounds::Any,
        };
        if self.name {
            verify_name(&names(leaf, bounds)?, server_name)?;
        } else if bounds == Bounds::Certain {
            names(leaf, bounds)?;
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
