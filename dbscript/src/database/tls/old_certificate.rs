//! Certificates of version 1, which the usual recipes for a server's certificate have long produced. libpq takes
//! them; webpki does not.

use super::usage;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Returns whether one certificate was signed by the owner of another one, and names it.
pub(super) fn is_signed_by(
    certificate: &Certificate,
    issuer: &Certificate,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let tbs = &certificate.tbs_certificate;
    // What cannot be encoded again is as good as a wrong signature.
    let (Ok(message), Some(signature)) = (tbs.to_der(), certificate.signature.as_bytes()) else {
        return false;
    };
    let key = &issuer.tbs_certificate.subject_public_key_info;
    tbs.issuer == issuer.tbs_certificate.subject
        && tbs.signature == certificate.signature_algorithm
        && algorithms.all.iter().any(|algorithm| {
            is(&tbs.signature, algorithm.signature_alg_id())
                && is(&key.algorithm, algorithm.public_key_alg_id())
                && algorithm.verify_signature(key.subject_public_key.raw_bytes(), &message, signature).is_ok()
        })
}

/// Returns whether a certificate that names itself as its issuer vouches for itself. A signature in a way that nobody
/// takes any more cannot be checked; roots are old, and OpenSSL looks at the signature of none of them.
pub(super) fn may_be_signed_by_itself(
    certificate: &Certificate,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let way = &certificate.tbs_certificate.signature;
    let known = algorithms.all.iter().any(|algorithm| is(way, algorithm.signature_alg_id()));
    usage::names_its_own_key(&certificate.tbs_certificate)
        && (!known || is_signed_by(certificate, certificate, algorithms))
}

/// Compares with what follows the tag and the length, which fit into one byte each.
fn is(identifier: &AlgorithmIdentifierOwned, expected: AlgorithmIdentifier) -> bool {
    identifier.to_der().is_ok_and(|der| der.get(2..) == Some(&*expected))
}

/// Returns the key of a certificate of version 1.
pub(super) fn key(leaf: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoOwned> {
    let tbs = Certificate::from_der(leaf).ok()?.tbs_certificate;
    (tbs.version == Version::V1).then_some(tbs.subject_public_key_info)
}

/// Verifies that the server has the key.
pub(super) fn verify_tls12_signature(
    message: &[u8],
    key: &SubjectPublicKeyInfoOwned,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let known = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
    let candidates = known.map(|(_, candidates)| *candidates).unwrap_or_default();
    let verified = candidates.iter().any(|algorithm| {
        is(&key.algorithm, algorithm.public_key_alg_id())
            && algorithm
                .verify_signature(key.subject_public_key.raw_bytes(), message, signed.signature())
                .is_ok()
    });
    if verified {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// Verifies that the server has the key.
pub(super) fn verify_tls13_signature(
    message: &[u8],
    key: &SubjectPublicKeyInfoOwned,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = key.to_der().map_err(|_| CertificateError::BadEncoding)?;
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key), signed, algorithms)
}
