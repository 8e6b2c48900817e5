//! The common name of a certificate without alternative names, which libpq accepts and rustls does not.

use rustls::pki_types::{CertificateDer, ServerName};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Returns true if the common name of a certificate is the host's name. As in libpq, the common name counts only if the
/// certificate has no alternative name of the host's kind (DNS name or address).
pub(super) fn is_for(der: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(der) else { return false };
    !has_alternative(&certificate, host) && common_name(&certificate).is_some_and(|name| matches(&name, host))
}

/// Returns true if a certificate has an alternative name of the host's kind, or alternative names that cannot be read.
fn has_alternative(certificate: &Certificate, host: &ServerName<'_>) -> bool {
    let Ok(names) = certificate.tbs_certificate.get::<SubjectAltName>() else { return true };
    names.is_some_and(|(_, names)| {
        names.0.iter().any(|name| match host {
            ServerName::IpAddress(_) => matches!(name, GeneralName::IpAddress(_)),
            _ => matches!(name, GeneralName::DnsName(_)),
        })
    })
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let mut attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let common = attributes.find(|attribute| attribute.oid == COMMON_NAME)?;
    String::from_utf8(common.value.value().to_vec()).ok()
}

/// Returns true if a certificate's name is the host's name, in upper or lower case. In a DNS name, `*.` at the start
/// stands for exactly one label.
fn matches(name: &str, host: &ServerName<'_>) -> bool {
    let text = host.to_str();
    let suffix = match host {
        ServerName::DnsName(_) => name.strip_prefix("*."),
        _ => None,
    };
    name.eq_ignore_ascii_case(&text)
        || suffix.zip(text.split_once('.')).is_some_and(|(suffix, (label, rest))| {
            !label.is_empty() && !suffix.is_empty() && suffix.eq_ignore_ascii_case(rest)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, host: &str, expected: bool) {
        let server = ServerName::try_from(host).expect("a host's name");
        assert_eq!(matches(name, &server), expected, "{name:?} for {host}");
    }

    #[test]
    fn a_wildcard_stands_for_one_label_of_a_dns_name() {
        check("db.example", "DB.Example", true);
        check("*.example", "db.example", true);
        check("*.example", "a.db.example", false);
        check("*.example", "example", false);
        check("*", "example", false);
        check("db*.example", "db1.example", false);
        check("*.", "a.", false);
        check("db.example\0", "db.example", false);
        check("127.0.0.1", "127.0.0.1", true);
        check("*.0.0.1", "127.0.0.1", false);
    }
}
