//! The names in a server's certificate.

use std::fmt;
use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Names that count, as libpq sees it.
pub(super) struct Names {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    common: Option<String>,
}

/// Reads the names of a certificate; none if it has any that is broken.
pub(super) fn names(certificate: &Certificate) -> Option<Names> {
    let mut names = Names { dns: Vec::new(), addresses: Vec::new(), common: common_name(certificate) };
    let alternatives = certificate.tbs_certificate.get::<SubjectAltName>().ok()?;
    for name in alternatives.map(|(_, names)| names.0).unwrap_or_default() {
        match name {
            GeneralName::DnsName(name) => names.dns.push(name.to_string()),
            GeneralName::IpAddress(octets) => names.addresses.push(address(octets.as_bytes())?),
            _ => {}
        }
    }
    let mut all = names.dns.iter().chain(&names.common);
    if all.any(|name| name.contains('\0')) { None } else { Some(names) }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let mut attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let common = attributes.find(|attribute| attribute.oid == COMMON_NAME)?;
    String::from_utf8(common.value.value().to_vec()).ok()
}

impl Names {
    /// Leaves the common name out; none if it is the only name that a server could be known by.
    pub(super) fn without_common_name(self) -> Option<Names> {
        if self.dns.is_empty() { None } else { Some(Names { common: None, ..self }) }
    }

    /// Returns whether a host is meant. The common name counts only where the certificate has no alternative
    /// name of the host's kind, name or address.
    pub(super) fn include(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let by_common_name = match address {
            Some(_) => self.addresses.is_empty(),
            None => self.dns.is_empty(),
        };
        address.is_some_and(|address| self.addresses.contains(&address))
            || self.dns.iter().any(|name| matches(name, host))
            || (by_common_name && self.common.as_deref().is_some_and(|name| matches(name, host)))
    }
}

/// Compares without regard to case; `*.` at the start stands for exactly one label.
fn matches(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(suffix), Some((label, rest))) = (pattern.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    !label.is_empty() && !suffix.is_empty() && suffix.eq_ignore_ascii_case(rest)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternatives = self.dns.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string));
        let mut names: Vec<String> = alternatives.map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            names.extend(self.common.iter().map(|name| format!("`{name}`")));
        }
        f.write_str(if names.is_empty() { "nobody" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dns: &[&str], addresses: &[&str], common: &str, host: &str, expected: bool) {
        let names = Names {
            dns: dns.iter().map(|&name| name.to_owned()).collect(),
            addresses: addresses.iter().map(|text| text.parse().expect("an address")).collect(),
            common: Some(common.to_owned()),
        };
        assert_eq!(names.include(host), expected, "{names} for {host}");
    }

    #[test]
    fn alternative_names_count_before_the_common_name() {
        check(&["db.example"], &[], "old.example", "db.example", true);
        check(&["db.example"], &[], "old.example", "DB.Example", true);
        check(&["db.example"], &[], "old.example", "old.example", false);
        check(&[], &[], "old.example", "old.example", true);
        check(&[], &["::1"], "old.example", "old.example", true);
        check(&["db.example"], &[], "127.0.0.1", "127.0.0.1", true);
        check(&[], &["127.0.0.2"], "127.0.0.1", "127.0.0.1", false);
        check(&[], &["127.0.0.2", "::1"], "x", "0:0:0:0:0:0:0:1", true);
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        check(&["*.example"], &[], "", "db.example", true);
        check(&["*.example"], &[], "", "a.db.example", false);
        check(&["*.example"], &[], "", "example", false);
        check(&["*.example"], &[], "", ".example", false);
        check(&["*"], &[], "", "example", false);
        check(&["db*.example"], &[], "", "db1.example", false);
        check(&["*."], &[], "", "a.", false);
    }
}
