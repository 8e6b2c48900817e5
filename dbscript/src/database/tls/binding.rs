//! Binding of passwords to the server's certificate (RFC 5929, `tls-server-end-point`).

use postgres::tls::ChannelBinding;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, SHA_1_WITH_RSA_ENCRYPTION,
    SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};

use super::encryption::Encrypted;

/// Returns the hash of the server's certificate, or none if the certificate's signature does not imply a hash.
pub(crate) fn of(stream: &Encrypted) -> ChannelBinding {
    let certificates = stream.get_ref().1.peer_certificates();
    let hash = certificates.and_then(|certificates| certificates.first()).and_then(|der| hash(der));
    hash.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
}

fn hash(der: &[u8]) -> Option<Vec<u8>> {
    match Certificate::from_der(der).ok()?.signature_algorithm.oid {
        // RFC 5929 replaces SHA-1.
        SHA_1_WITH_RSA_ENCRYPTION | SHA_256_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_256 => {
            Some(Sha256::digest(der).to_vec())
        }
        SHA_384_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_384 => Some(Sha384::digest(der).to_vec()),
        SHA_512_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_512 => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}
