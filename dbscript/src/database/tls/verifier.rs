//! Verifying servers with the verifier of rustls, as far as `sslmode` requires.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct as Signed, Error, SignatureScheme};

use super::common_name;
use super::trust::Trust;

/// A verifier that leaves the chain, its revocation lists and its alternative names to rustls.
///
/// As in libpq, the host's name is checked with `verify-full` only, and may be the common name of a certificate without
/// alternative names.
#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    trust: Option<Trust>,
    name: NameCheck,
}

/// The check of the host's name in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameCheck {
    Required,
    Omitted,
}

impl Verifier {
    /// Makes a verifier. Without `trust`, it accepts every certificate whose key the server has.
    pub(super) fn new(
        algorithms: WebPkiSupportedAlgorithms,
        trust: Option<Trust>,
        name: NameCheck,
    ) -> Verifier {
        Verifier { algorithms, trust, name }
    }
}

/// Returns true if only the host's name is wrong. rustls checks the name last.
fn is_for_another_host(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

type SignatureResult = Result<HandshakeSignatureValid, Error>;

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let intermediates = trust.intermediates(sent);
        let accepts_other_name = || match self.name {
            NameCheck::Omitted => true,
            NameCheck::Required => !trust.is_limited(&intermediates) && common_name::is_for(leaf, host),
        };
        match trust.verifier().verify_server_cert(leaf, &intermediates, host, ocsp_response, now) {
            Err(error) if is_for_another_host(&error) && accepts_other_name() => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(&self, text: &[u8], leaf: &CertificateDer<'_>, by: &Signed) -> SignatureResult {
        verify_tls12_signature(text, leaf, by, &self.algorithms)
    }

    fn verify_tls13_signature(&self, text: &[u8], leaf: &CertificateDer<'_>, by: &Signed) -> SignatureResult {
        verify_tls13_signature(text, leaf, by, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
