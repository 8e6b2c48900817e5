//! Why a server's certificate is refused.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

/// A reason for which rustls has no name.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Refusal {}

/// Refuses a certificate; `why` goes on after its name.
pub(super) fn because(why: impl Into<String>) -> Error {
    CertificateError::Other(OtherError(Arc::new(Refusal(why.into())))).into()
}

pub(super) fn not_for_servers() -> Error {
    because("it may not be used by servers")
}

/// Refuses a certificate for webpki's reason.
pub(super) fn of_webpki(error: webpki::Error) -> Error {
    use webpki::Error as Wrong;
    match error {
        Wrong::CertExpired { .. } => CertificateError::Expired.into(),
        Wrong::CertNotValidYet { .. } => CertificateError::NotValidYet.into(),
        Wrong::UnknownIssuer => CertificateError::UnknownIssuer.into(),
        Wrong::CertRevoked => CertificateError::Revoked.into(),
        Wrong::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus.into(),
        Wrong::CrlExpired { .. } => CertificateError::ExpiredRevocationList.into(),
        Wrong::RequiredEkuNotFoundContext(_) => not_for_servers(),
        Wrong::CaUsedAsEndEntity => because("it is an authority's, and not a root certificate"),
        Wrong::EndEntityUsedAsCa => {
            because("the one that signed it, or one above, may not sign certificates")
        }
        Wrong::PathLenConstraintViolated => {
            because("there are more authorities above it than one of them allows")
        }
        Wrong::NameConstraintViolation => {
            because("one of the authorities above it may not vouch for its names")
        }
        Wrong::UnsupportedCriticalExtension => because("it has a critical extension that is not known"),
        other => because(format!("{other:?}")),
    }
}
