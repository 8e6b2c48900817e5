//! Messages about failed handshakes, each with the reason and a remedy.

use std::io;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error as Rustls};
use webpki::Error as Webpki;

use crate::error::BoxError;
use crate::error::tls_failure::TlsFailure;

/// Explains an error after the handshake. With TLS 1.3, a server refuses the client's certificate only then.
pub(crate) fn explain_late(error: io::Error) -> io::Error {
    if error.get_ref().is_some_and(|cause| cause.is::<Rustls>()) {
        return io::Error::other(TlsFailure::new(explain(error)));
    }
    error
}

/// Makes the error of a failed handshake, with the reason and a remedy.
pub(super) fn explain(error: io::Error) -> BoxError {
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<Rustls>()) else {
        return error.into();
    };
    match cause {
        Rustls::InvalidCertificate(wrong) => {
            format!("the server's certificate is not accepted: {}", certificate(wrong)).into()
        }
        Rustls::InvalidCertRevocationList(wrong) => {
            format!("the revocation list is not accepted: {wrong:?}; set sslcrl to one of the issuer's")
                .into()
        }
        Rustls::AlertReceived(alert) => alert_received(*alert).into(),
        _ => error.into(),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    use CertificateError as Wrong;
    let text = match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => "it, or one above it, has expired; issue a new one",
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "it, or one above it, is not valid yet; compare the clocks"
        }
        Wrong::UnknownIssuer => {
            "none of the root certificates has issued it; append its authority's to sslrootcert"
        }
        Wrong::Revoked => "it, or one above it, was revoked; issue a new one",
        Wrong::UnknownRevocationStatus => {
            "no revocation list covers its issuer, or one above; append the list to sslcrl"
        }
        Wrong::ExpiredRevocationList | Wrong::ExpiredRevocationListContext { .. } => {
            "the revocation list has expired; renew the list in sslcrl"
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "it, or one above it, is not for servers; issue it with `extendedKeyUsage=serverAuth`"
        }
        Wrong::UnsupportedSignatureAlgorithmContext { .. } => {
            "its algorithms are not supported; issue it with ECDSA P-256, or RSA 2048 and SHA-256"
        }
        Wrong::NotValidForNameContext { expected, presented } => return other_host(expected, presented),
        Wrong::Other(cause) => {
            return cause.0.downcast_ref().map_or_else(|| cause.to_string(), verifier_error);
        }
        other => return other.to_string(),
    };
    text.to_owned()
}

fn other_host(host: &ServerName<'_>, presented: &[String]) -> String {
    let kind = if matches!(host, ServerName::IpAddress(_)) { "IP" } else { "DNS" };
    let host = host.to_str();
    let right = format!("issue it with `subjectAltName={kind}:{host}`");
    if presented.is_empty() {
        return format!("it has no alternative name, and no common name that counts as `{host}`; {right}");
    }
    let names: Vec<_> = presented.iter().map(|name| format!("`{}`", inner(name).escape_debug())).collect();
    format!("it is for {}, not for `{host}`; {right}", names.join(", "))
}

/// Returns the name in `DnsName("name")` or `IpAddress(address)`.
fn inner(presented: &str) -> &str {
    presented.split_once('(').map_or(presented, |(_, inner)| inner.trim_matches(['"', ')']))
}

/// Explains an error of the verifier for which rustls has no error of its own.
fn verifier_error(error: &Webpki) -> String {
    let text = match error {
        Webpki::UnsupportedCertVersion => {
            "it, or one above it, is of version 1; issue one of version 3: `openssl x509 -req -extfile FILE`, \
             with `subjectAltName=DNS:HOST` in the file"
        }
        Webpki::CaUsedAsEndEntity => {
            "it is an authority's; issue one with `openssl req -x509 -addext basicConstraints=critical,CA:FALSE \
             -addext subjectAltName=DNS:HOST`"
        }
        Webpki::EndEntityUsedAsCa => {
            "one above it is not an authority's; issue that one with `basicConstraints=critical,CA:TRUE`"
        }
        Webpki::PathLenConstraintViolated => {
            "more authorities are above it than one of them allows; issue that one with a larger `pathlen`"
        }
        Webpki::NameConstraintViolation => {
            "an authority above it may not issue certificates for its names; change `nameConstraints`"
        }
        Webpki::UnsupportedCriticalExtension => {
            "it, or one above it, has a critical extension that is not supported; issue it without"
        }
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

fn alert_received(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => {
            "the server refuses the client's certificate: its issuer is not in the server's ssl_ca_file"
                .to_owned()
        }
        AlertDescription::CertificateRequired => {
            "the server requires a client's certificate; set sslcert and sslkey".to_owned()
        }
        AlertDescription::ProtocolVersion => {
            "the server does not support that version of TLS; change ssl_min_protocol_version".to_owned()
        }
        alert => format!("the server refuses the handshake: {alert:?}"),
    }
}
