//! What a certificate may be used for. webpki looks neither at the usages of keys, nor at anything of a root.

use x509_cert::TbsCertificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage,
    KeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};

/// The extensions that may be critical.
const UNDERSTOOD: [ObjectIdentifier; 7] = [
    BasicConstraints::OID,
    CertificatePolicies::OID,
    CrlDistributionPoints::OID,
    ExtendedKeyUsage::OID,
    KeyUsage::OID,
    NameConstraints::OID,
    SubjectAltName::OID,
];

/// Returns whether it may sign the certificates of servers, and of those who sign them.
pub(super) fn may_sign(certificate: &TbsCertificate) -> bool {
    is_authority(certificate) && is_usable(certificate, KeyUsage::key_cert_sign)
}

/// Returns whether a server may have it.
pub(super) fn may_serve(certificate: &TbsCertificate) -> bool {
    is_usable(certificate, |usage| {
        usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
    })
}

/// Returns how many authorities may stand between it and a server, if it says so.
pub(super) fn path_length(certificate: &TbsCertificate) -> Option<usize> {
    let (_, constraints) = certificate.get::<BasicConstraints>().ok()??;
    constraints.path_len_constraint.map(usize::from)
}

/// Returns whether it may vouch for certain names only.
pub(super) fn is_constrained(certificate: &TbsCertificate) -> bool {
    !matches!(certificate.get::<NameConstraints>(), Ok(None))
}

/// Returns whether what a certificate says of its issuer's key and number is true of itself, as far as it says
/// anything.
pub(super) fn names_its_own_key(certificate: &TbsCertificate) -> bool {
    let issuer = match certificate.get::<AuthorityKeyIdentifier>() {
        Ok(Some((_, issuer))) => issuer,
        Ok(None) => return true,
        Err(_) => return false,
    };
    let own = certificate.get::<SubjectKeyIdentifier>().ok().flatten().map(|(_, own)| own.0);
    let is_own_key = issuer.key_identifier.is_none_or(|key| own.is_none_or(|own| own == key));
    let number = issuer.authority_cert_serial_number;
    is_own_key && number.is_none_or(|number| number == certificate.serial_number)
}

/// Version 1 has no way of saying so.
fn is_authority(certificate: &TbsCertificate) -> bool {
    match certificate.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => certificate.version == Version::V1,
        Err(_) => false,
    }
}

fn is_usable(certificate: &TbsCertificate, usage: impl Fn(&KeyUsage) -> bool) -> bool {
    let mut extensions = certificate.extensions.iter().flatten();
    let usable = match certificate.get::<KeyUsage>() {
        Ok(found) => found.is_none_or(|(_, found)| usage(&found)),
        Err(_) => false,
    };
    let for_servers = match certificate.get::<ExtendedKeyUsage>() {
        Ok(found) => found.is_none_or(|(_, found)| found.0.contains(&ID_KP_SERVER_AUTH)),
        Err(_) => false,
    };
    usable && for_servers && extensions.all(|one| !one.critical || UNDERSTOOD.contains(&one.extn_id))
}
