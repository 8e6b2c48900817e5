//! Where webpki and libpq differ: old forms of servers' certificates, which libpq takes, and expired roots,
//! which it does not.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Verifies a certificate that is a self-signed root itself, or one of version 1, which has no extensions,
/// that a root signed. Returns none for other certificates.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    roots: &[CertificateDer<'_>],
    algorithms: WebPkiSupportedAlgorithms,
    now: UnixTime,
) -> Option<Result<(), Error>> {
    let parsed = Certificate::from_der(leaf).ok()?;
    let tbs = &parsed.tbs_certificate;
    if tbs.issuer == tbs.subject && roots.contains(leaf) {
        return Some(verify_time(&parsed, now));
    }
    if tbs.version != Version::V1 {
        return None;
    }
    let mut roots = roots.iter().filter_map(|root| Certificate::from_der(root).ok());
    let signed = roots.any(|root| {
        root.tbs_certificate.subject == tbs.issuer
            && is_signed_by(&parsed, &root, algorithms).unwrap_or(false)
    });
    Some(if signed { verify_time(&parsed, now) } else { Err(CertificateError::UnknownIssuer.into()) })
}

/// Tells whether a certificate is neither too old nor too new.
pub(super) fn is_current(certificate: &CertificateDer<'_>) -> bool {
    Certificate::from_der(certificate).is_ok_and(|parsed| verify_time(&parsed, UnixTime::now()).is_ok())
}

fn verify_time(certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
    let validity = &certificate.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        Err(CertificateError::NotValidYet.into())
    } else if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// Returns none when something cannot be encoded again, which is as good as a wrong signature.
fn is_signed_by(
    certificate: &Certificate,
    issuer: &Certificate,
    algorithms: WebPkiSupportedAlgorithms,
) -> Option<bool> {
    let message = certificate.tbs_certificate.to_der().ok()?;
    let key = &issuer.tbs_certificate.subject_public_key_info;
    let signature = certificate.signature.as_bytes()?;
    Some(algorithms.all.iter().any(|algorithm| {
        is(&certificate.signature_algorithm, algorithm.signature_alg_id())
            && is(&key.algorithm, algorithm.public_key_alg_id())
            && algorithm.verify_signature(key.subject_public_key.raw_bytes(), &message, signature).is_ok()
    }))
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
