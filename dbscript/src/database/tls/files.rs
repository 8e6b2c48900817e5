//! Certificates, keys and revocation lists from PEM files.

use std::fmt::Display;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::Error;
use crate::files::{self, read_file};

/// The longest file that is read, in bytes: some revocation lists have several megabytes.
const LIMIT: u64 = 64 * 1024 * 1024;
const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
/// The mark of an encrypted key in OpenSSL's format before PKCS#8.
const OLD_ENCRYPTED_KEY: &str = "Proc-Type: 4,ENCRYPTED";

/// Reads one or more certificates.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    all(path, "certificate")
}

/// Reads one or more certificate revocation lists.
pub(super) fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    all(path, "certificate revocation list")
}

/// Checks that a file can be read, is a regular file, and is not too large.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    read_file(path, LIMIT).map(|_| ()).map_err(|error| unusable(path).caused_by(error))
}

fn all<T: PemObject>(path: &Path, what: &str) -> Result<Vec<T>, Error> {
    let text = read_file(path, LIMIT).map_err(|error| unusable(path).caused_by(error))?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| wrong(path, error))?;
    if found.is_empty() {
        return Err(wrong(path, format!("it contains no {what}")));
    }
    Ok(found)
}

/// Reads a key, which may be encrypted. As in libpq, other users must not have access to the file.
pub(super) fn private_key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, Error> {
    let (file, metadata) = files::open(path).map_err(|error| unusable(path).caused_by(error))?;
    if is_readable_by_others(&metadata) {
        return Err(wrong(
            path,
            "group or others may read it: its mode must be 0600, or 0640 if root owns it",
        ));
    }
    let text = files::check_regular(path, &metadata)
        .and_then(|()| files::read(&file, &metadata, LIMIT))
        .map_err(|error| unusable(path).caused_by(error))?;
    let text = String::from_utf8(text).map_err(|_| wrong(path, "it is not UTF-8"))?;
    if text.contains(OLD_ENCRYPTED_KEY) {
        let convert = "it is encrypted in the format before PKCS#8: convert it with `openssl pkcs8 -topk8`";
        return Err(wrong(path, convert));
    }
    match text.find(&format!("-----BEGIN {ENCRYPTED_KEY}")) {
        Some(at) => decrypt(path, &text[at..], password),
        None => PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| wrong(path, "it contains no key")),
    }
}

/// Applies libpq's rule: only the owner has access, and the group may read a file that root owns.
fn is_readable_by_others(metadata: &Metadata) -> bool {
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    metadata.mode() & forbidden != 0
}

fn decrypt(path: &Path, pem: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, Error> {
    let password = password.ok_or_else(|| wrong(path, "it is encrypted: set sslpassword"))?;
    let (_, document) = SecretDocument::from_pem(pem).map_err(|error| wrong(path, error))?;
    let info = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|error| wrong(path, error))?;
    let key = info.decrypt(password).map_err(|_| {
        wrong(path, "it cannot be decrypted: sslpassword is wrong, or the cipher is not supported")
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn unusable(path: &Path) -> Error {
    Error::failed(format!("cannot use `{}`", path.display()))
}

/// Makes the error of a file that cannot be used.
pub(super) fn wrong(path: &Path, why: impl Display) -> Error {
    unusable(path).caused_by(why.to_string())
}
