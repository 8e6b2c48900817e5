//! Certificates for servers and clients.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// A certificate and its key, as PEM.
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An authority that issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: Pem,
}

impl Authority {
    pub(crate) fn create(name: &str) -> Authority {
        Authority::with(params(&[], name))
    }

    fn with(mut params: CertificateParams) -> Authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority::with_exactly(params)
    }

    /// Creates a self-signed one with these parameters.
    pub(crate) fn with_exactly(params: CertificateParams) -> Authority {
        let key = key();
        let certificate = params.self_signed(&key).expect("signed").pem();
        let pem = Pem { certificate, key: key.serialize_pem() };
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate with alternative names, which may be addresses, and a common name.
    pub(crate) fn issue(&self, alternatives: &[&str], common_name: &str) -> Pem {
        self.sign(&params(alternatives, common_name))
    }

    /// Issues one that was good until last century.
    pub(crate) fn issue_expired(&self, name: &str) -> Pem {
        let mut params = params(&[name], name);
        params.not_after = date_time_ymd(1999, 12, 31);
        self.sign(&params)
    }

    /// Issues one with a number, by which it can be revoked.
    pub(crate) fn issue_numbered(&self, name: &str, number: u64) -> Pem {
        let mut params = params(&[name], name);
        params.serial_number = Some(SerialNumber::from(number));
        self.sign(&params)
    }

    /// Has this one vouch for another one.
    pub(crate) fn issue_authority(&self, params: CertificateParams) -> Authority {
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let pem = Pem { certificate, key: key.serialize_pem() };
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Issues a certificate with these parameters.
    pub(crate) fn sign(&self, params: &CertificateParams) -> Pem {
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        Pem { certificate, key: key.serialize_pem() }
    }

    /// Returns a list that revokes one certificate.
    pub(crate) fn revoke(&self, number: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("signed").pem().expect("encoded")
    }
}

/// Makes a certificate that vouches for itself.
pub(crate) fn self_signed(name: &str) -> Pem {
    let mut params = params(&[name], name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = key();
    Pem { certificate: params.self_signed(&key).expect("signed").pem(), key: key.serialize_pem() }
}

/// Makes parameters with alternative names, which may be addresses, and a common name.
pub(crate) fn params(alternatives: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = alternatives.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names are valid");
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key is generated")
}

/// Writes a file that only its owner can read.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("the folder is writable");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is the test's");
    path
}
