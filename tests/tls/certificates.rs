//! Certificates that nobody should accept, and similar ones that are right.

mod comparison;
mod differences;
mod self_issued;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, date_time_ymd,
};

use self::comparison::{BOTH, CHAIN, Comparison, Expected, NEITHER, differs, same};
pub(super) use self::differences::Difference;
use super::Encrypted;
use crate::support::certificates::{Authority, Pem, params, self_signed};
use crate::support::tls_only::TlsOnly;

const ALTERNATIVE_NAMES: &[u64] = &[2, 5, 29, 17];
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const X400: u8 = 0xa3;

/// Alternative names, a common name and a host.
type NameCase<'a> = (&'a [&'a str], &'a str, &'a str, Expected);
/// A common name, alternative names with their tags, and a host.
type AlikeCase<'a> = (&'a str, &'a [(u8, &'a [u8])], &'a str, Expected);
type Change<'a> = &'a dyn Fn(&mut CertificateParams);

fn authority(name: &str) -> CertificateParams {
    changed(params(&[], name), &|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))
}

fn server() -> CertificateParams {
    params(&["localhost"], "localhost")
}

fn changed(mut params: CertificateParams, change: Change<'_>) -> CertificateParams {
    change(&mut params);
    params
}

/// Returns a server's certificate with those above it.
fn chain(leaf: &Pem, above: &[&Authority]) -> Pem {
    let above: String = above.iter().map(|authority| authority.pem.certificate.as_str()).collect();
    Pem { certificate: format!("{}{above}", leaf.certificate), key: leaf.key.clone() }
}

fn nobody_below(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn for_revocation_lists(params: &mut CertificateParams) {
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
}

fn with_an_unsupported_extension(params: &mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
}

fn for_names_below_example(params: &mut CertificateParams) {
    let permitted_subtrees = vec![GeneralSubtree::DnsName("example".to_owned())];
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
}

/// Encodes alternative names, each with its tag.
fn alternatives(names: &[(u8, &[u8])]) -> CustomExtension {
    let length = |content: &[u8]| u8::try_from(content.len()).expect("short");
    let names = names.iter().map(|(tag, name)| [&[*tag, length(name)], *name].concat());
    let names = names.collect::<Vec<_>>().concat();
    let sequence = [&[0x30, length(&names)], names.as_slice()].concat();
    CustomExtension::from_oid_content(ALTERNATIVE_NAMES, sequence)
}

#[test]
fn authorities_in_between() {
    let comparison = Comparison::start();
    let root = Authority::create("root");
    let file = &root.pem.certificate;
    let middle = root.issue_authority(authority("middle"));
    let leaf = middle.sign(&server());
    let alone = &middle.pem.certificate;
    comparison.check("a chain", &chain(&leaf, &[&middle]), file, same(BOTH));
    comparison.check("the root is sent too", &chain(&leaf, &[&middle, &root]), file, same(BOTH));
    comparison.check("the middle is missing", &leaf, file, same(NEITHER));
    comparison.check("the middle is in the file", &leaf, &format!("{alone}{file}"), same(BOTH));
    comparison.check("only the middle is in the file", &leaf, alone, same(NEITHER));
    comparison.check("the middle is sent and in the file", &chain(&leaf, &[&middle]), alone, same(NEITHER));

    let unfit: [(&str, Change<'_>, Expected); 8] = [
        ("that is a server", &|params| params.is_ca = IsCa::ExplicitNoCa, same(NEITHER)),
        ("that does not say that it is one", &|params| params.is_ca = IsCa::NoCa, same(NEITHER)),
        ("that has expired", &|params| params.not_after = date_time_ymd(1999, 12, 31), same(NEITHER)),
        ("that is not valid yet", &|params| params.not_before = date_time_ymd(2090, 1, 1), same(NEITHER)),
        ("for revocation lists", &for_revocation_lists, differs(Difference::KeyUsage, BOTH, NEITHER)),
        ("for clients", &for_clients, same(NEITHER)),
        ("for other names", &for_names_below_example, same(NEITHER)),
        ("with an unsupported critical extension", &with_an_unsupported_extension, same(NEITHER)),
    ];
    for (what, change, expected) in unfit {
        let middle = root.issue_authority(changed(authority("middle"), change));
        let pem = chain(&middle.sign(&server()), &[&middle]);
        comparison.check(&format!("a middle {what}"), &pem, file, expected);
    }
    let first = root.issue_authority(changed(authority("first"), &nobody_below));
    let second = first.issue_authority(authority("second"));
    let leaf = chain(&second.sign(&server()), &[&second, &first]);
    comparison.check("a middle with nobody below", &leaf, file, same(NEITHER));
    comparison.finish();
}

#[test]
fn roots_with_limits_of_their_own() {
    let comparison = Comparison::start();
    let trusted = differs(Difference::RootAsItIs, BOTH, NEITHER);
    let roots: [(&str, Change<'_>, Expected); 10] = [
        ("without limits", &|_| {}, same(BOTH)),
        ("with nobody below", &nobody_below, same(BOTH)),
        ("that may sign", &|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign], same(BOTH)),
        ("that has expired", &|params| params.not_after = date_time_ymd(1999, 12, 31), trusted),
        ("that is a server", &|params| params.is_ca = IsCa::ExplicitNoCa, trusted),
        ("that does not say that it is one", &|params| params.is_ca = IsCa::NoCa, trusted),
        ("for revocation lists", &for_revocation_lists, trusted),
        ("for clients", &for_clients, trusted),
        ("for other names", &for_names_below_example, same(NEITHER)),
        ("with an unsupported critical extension", &with_an_unsupported_extension, trusted),
    ];
    for (what, change, expected) in roots {
        let root = Authority::with_exactly(changed(authority("root"), change));
        comparison.check(&format!("a root {what}"), &root.sign(&server()), &root.pem.certificate, expected);
    }
    let root = Authority::with_exactly(changed(authority("root"), &nobody_below));
    let middle = root.issue_authority(authority("middle"));
    let leaf = chain(&middle.sign(&server()), &[&middle]);
    comparison.check("a middle where nobody may be", &leaf, &root.pem.certificate, trusted);
    comparison.finish();
}

#[test]
fn an_authority_for_certain_names() {
    let comparison = Comparison::start();
    let root = Authority::with_exactly(changed(authority("root"), &for_names_below_example));
    let limited = |ours, psql| differs(Difference::LimitedCommonName, ours, psql);
    let cases: [NameCase<'_>; 7] = [
        (&["db.example"], "db", "db.example", same(BOTH)),
        (&["db.example"], "localhost", "localhost", same(CHAIN)),
        // OpenSSL takes a common name for one of a server only if it has a dot.
        (&[], "localhost", "localhost", limited(CHAIN, BOTH)),
        (&[], "db.elsewhere", "db.elsewhere", limited(CHAIN, NEITHER)),
        (&["127.0.0.1"], "db.elsewhere", "127.0.0.1", limited(BOTH, NEITHER)),
        (&[], "db.example", "db.example", limited(CHAIN, BOTH)),
        (&["db.example"], "127.0.0.1", "127.0.0.1", limited(CHAIN, BOTH)),
    ];
    for (names, common, host, expected) in cases {
        let what = format!("{names:?} and {common} for {host}");
        comparison.check_host(&what, &root.issue(names, common), &root.pem.certificate, host, expected);
    }
    let free = Authority::create("free");
    let middle = free.issue_authority(changed(authority("middle"), &for_names_below_example));
    for host in ["db.example", "db.elsewhere"] {
        let pem = chain(&middle.issue(&[], host), &[&middle]);
        let expected = limited(CHAIN, if host == "db.example" { BOTH } else { NEITHER });
        comparison.check_host(&format!("{host} below a middle"), &pem, &free.pem.certificate, host, expected);
    }
    comparison.finish();
}

#[test]
fn servers_with_unfit_certificates() {
    let comparison = Comparison::start();
    let root = Authority::create("root");
    let as_authority = differs(Difference::AuthorityAsServer, NEITHER, BOTH);
    let unfit: [(&str, Change<'_>, Expected); 8] = [
        (
            "for servers",
            &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            same(BOTH),
        ),
        ("for clients", &for_clients, same(NEITHER)),
        ("for signatures", &|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature], same(BOTH)),
        ("for key agreement", &|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement], same(BOTH)),
        ("for revocation lists", &for_revocation_lists, differs(Difference::KeyUsage, BOTH, NEITHER)),
        ("with an unsupported critical extension", &with_an_unsupported_extension, same(NEITHER)),
        ("not valid yet", &|params| params.not_before = date_time_ymd(2090, 1, 1), same(NEITHER)),
        ("expired", &|params| params.not_after = date_time_ymd(1999, 12, 31), same(NEITHER)),
    ];
    for (what, change, expected) in unfit {
        let params = changed(server(), change);
        comparison.check(what, &root.sign(&params), &root.pem.certificate, expected);
        let of_authority = if expected.psql == BOTH { as_authority } else { same(NEITHER) };
        let roles = [
            (IsCa::Ca(BasicConstraints::Unconstrained), of_authority),
            (IsCa::ExplicitNoCa, expected),
            (IsCa::NoCa, expected),
        ];
        for (is_ca, expected) in roles {
            let what = format!("{what}, signed by itself, {is_ca:?}");
            let itself = Authority::with_exactly(changed(params.clone(), &|params| params.is_ca = is_ca));
            comparison.check(&what, &itself.pem, &itself.pem.certificate, expected);
        }
    }
    comparison.finish();
}

#[test]
fn servers_with_the_certificate_of_an_authority_or_of_another_root() {
    let comparison = Comparison::start();
    let root = Authority::create("root");
    let as_authority = differs(Difference::AuthorityAsServer, NEITHER, BOTH);
    let below = root.issue_authority(changed(server(), &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }));
    comparison.check("an authority below a root", &below.pem, &root.pem.certificate, as_authority);
    let other = Authority::create("root");
    comparison.check(
        "another root of that name",
        &other.sign(&server()),
        &root.pem.certificate,
        same(NEITHER),
    );
    comparison.finish();
}

#[test]
fn a_server_without_the_key_of_its_certificate() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let root = Authority::create("root");
    let path = encrypted.file("root.crt", &root.pem.certificate);
    let new = root.issue(&["localhost"], "localhost");
    let other = root.issue(&["localhost"], "localhost");
    for (shown, key) in [(&new, &other), (&other, &new)] {
        let honest = TlsOnly::start(shown, &encrypted.server);
        let pem = Pem { certificate: shown.certificate.clone(), key: key.key.clone() };
        let forger = TlsOnly::start(&pem, &encrypted.server);
        for version in ["TLSv1.2", "TLSv1.3"] {
            for mode in ["require", "verify-ca", "verify-full"] {
                let seen = |door: &TlsOnly| {
                    encrypted.seen(&format!(
                        "host=localhost port={} user=postgres dbname=postgres sslrootcert={path} sslmode={mode} \
                         sslnegotiation=direct ssl_min_protocol_version={version} \
                         ssl_max_protocol_version={version}",
                        door.port()
                    ))
                };
                assert_eq!(seen(&honest), Ok(false), "{version}");
                seen(&forger).expect_err("it has another key");
            }
        }
    }
}

#[test]
fn names_that_look_alike() {
    let (comparison, root) = (Comparison::start(), Authority::create("root"));
    let unusual = |ours, psql| differs(Difference::UnusualName, ours, psql);
    let cases: &[AlikeCase<'_>] = &[
        ("x", &[(DNS, b"localhost")], "localhost", same(BOTH)),
        ("x", &[(DNS, b"localhost")], "localhost.", unusual(BOTH, CHAIN)),
        ("x", &[(DNS, b"localhost.")], "localhost", same(CHAIN)),
        ("localhost", &[(URI, b"x:y")], "localhost", same(BOTH)),
        ("localhost", &[(DNS, b"localhost\0.example")], "localhost", same(CHAIN)),
        ("x", &[(DNS, b"a\0b"), (DNS, b"localhost")], "localhost", unusual(BOTH, CHAIN)),
        ("localhost\0.example", &[], "localhost", same(CHAIN)),
        ("localhost", &[(X400, b""), (DNS, b"x")], "localhost", same(CHAIN)),
        ("localhost", &[(DNS, b"\xc3\xbc")], "localhost", same(CHAIN)),
        ("127.0.0.1", &[(IP, b"\x7f\0\0")], "127.0.0.1", same(CHAIN)),
        ("127.0.0.1", &[(IP, b"\x7f\0\0\x02")], "127.0.0.1", same(CHAIN)),
        ("127.0.0.1", &[(DNS, b"x")], "127.0.0.1", same(BOTH)),
        ("x", &[(IP, b"\x7f\0\0\x01")], "127.0.0.1", same(BOTH)),
        ("x", &[(IP, b"\x7f\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0")], "127.0.0.1", same(CHAIN)),
        ("x", &[(DNS, b"127.0.0.1")], "127.0.0.1", unusual(CHAIN, BOTH)),
        ("x", &[(DNS, b"*.0.0.1")], "127.0.0.1", unusual(CHAIN, BOTH)),
        ("x", &[(DNS, b"*")], "localhost", same(CHAIN)),
        ("x", &[(DNS, b"*.")], "localhost.", same(CHAIN)),
        ("x", &[(DNS, b"*.example")], "db.example", differs(Difference::Wildcard, CHAIN, BOTH)),
        ("x", &[(DNS, b"*.db.example")], "a.db.example", same(BOTH)),
        ("*.example", &[], "db.example", same(BOTH)),
        ("x", &[(DNS, b"*.example")], "a.db.example", same(CHAIN)),
        ("x", &[(DNS, b"*.*.example")], "a.db.example", same(CHAIN)),
        ("x", &[(DNS, b"a.*.example")], "a.db.example", same(CHAIN)),
        ("x", &[(DNS, b"d*.example")], "db.example", same(CHAIN)),
    ];
    for (common, names, host, expected) in cases {
        let mut params = params(&[], common);
        if !names.is_empty() {
            params.custom_extensions = vec![alternatives(names)];
        }
        let what = &format!("{common:?} {names:?} for {host}");
        comparison.check_host(what, &root.sign(&params), &root.pem.certificate, host, *expected);
    }
    comparison.finish();
}
