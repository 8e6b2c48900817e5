//! Certificates that nobody should accept, and what comes near to them.

mod court;
mod self_issued;

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, date_time_ymd,
};

use self::court::{Accepted, Court};
use super::Encrypted;
use crate::support::certificates::{Authority, Pem, params, self_signed, write};
use crate::support::programs::succeed;
use crate::support::tls_only::TlsOnly;

const ALTERNATIVE_NAMES: &[u64] = &[2, 5, 29, 17];
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const X400: u8 = 0xa3;

const BOTH: Accepted = [true, true];
const CHAIN: Accepted = [true, false];
const NEITHER: Accepted = [false, false];

/// Alternative names, a common name, a host, and what programs and psql accept.
type NameCase<'a> = (&'a [&'a str], &'a str, &'a str, [Accepted; 2]);
/// A common name, alternative names with their tags, a host, and what both accept.
type AlikeCase<'a> = (&'a str, &'a [(u8, &'a [u8])], &'a str, Accepted);
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

/// Has a server send the certificates above its own, too.
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

fn with_something_unheard_of(params: &mut CertificateParams) {
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
    let court = Court::open();
    let root = Authority::create("root");
    let file = &root.pem.certificate;
    let middle = root.issue_authority(authority("middle"));
    let leaf = middle.sign(&server());
    let alone = &middle.pem.certificate;
    court.judge("a chain", &chain(&leaf, &[&middle]), file, BOTH);
    court.judge("the root is sent too", &chain(&leaf, &[&middle, &root]), file, BOTH);
    court.judge("the middle is missing", &leaf, file, NEITHER);
    court.judge("the middle is in the file", &leaf, &format!("{alone}{file}"), BOTH);
    court.judge("only the middle is in the file", &leaf, alone, NEITHER);
    court.judge("the middle is sent and in the file", &chain(&leaf, &[&middle]), alone, NEITHER);

    let unfit: [(&str, Change<'_>); 8] = [
        ("that is a server", &|params| params.is_ca = IsCa::ExplicitNoCa),
        ("that does not say that it is one", &|params| params.is_ca = IsCa::NoCa),
        ("that has expired", &|params| params.not_after = date_time_ymd(1999, 12, 31)),
        ("that is not valid yet", &|params| params.not_before = date_time_ymd(2090, 1, 1)),
        ("for revocation lists", &for_revocation_lists),
        ("for clients", &for_clients),
        ("for other names", &for_names_below_example),
        ("with something unheard of", &with_something_unheard_of),
    ];
    for (what, change) in unfit {
        let middle = root.issue_authority(changed(authority("middle"), change));
        let pem = chain(&middle.sign(&server()), &[&middle]);
        court.judge(&format!("a middle {what}"), &pem, file, NEITHER);
    }
    let first = root.issue_authority(changed(authority("first"), &nobody_below));
    let second = first.issue_authority(authority("second"));
    let leaf = chain(&second.sign(&server()), &[&second, &first]);
    court.judge("a middle with nobody below", &leaf, file, NEITHER);
    court.close();
}

#[test]
fn roots_that_are_none() {
    let court = Court::open();
    let roots: [(&str, Change<'_>, Accepted); 9] = [
        ("as it should be", &|_| {}, BOTH),
        ("with nobody below", &nobody_below, BOTH),
        ("that may sign", &|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign], BOTH),
        ("that is a server", &|params| params.is_ca = IsCa::ExplicitNoCa, NEITHER),
        ("that does not say that it is one", &|params| params.is_ca = IsCa::NoCa, NEITHER),
        ("for revocation lists", &for_revocation_lists, NEITHER),
        ("for clients", &for_clients, NEITHER),
        ("for other names", &for_names_below_example, NEITHER),
        ("with something unheard of", &with_something_unheard_of, NEITHER),
    ];
    for (what, change, expected) in roots {
        let root = Authority::with_exactly(changed(authority("root"), change));
        court.judge(&format!("a root {what}"), &root.sign(&server()), &root.pem.certificate, expected);
    }
    let root = Authority::with_exactly(changed(authority("root"), &nobody_below));
    let middle = root.issue_authority(authority("middle"));
    let leaf = chain(&middle.sign(&server()), &[&middle]);
    court.judge("a middle where nobody may be", &leaf, &root.pem.certificate, NEITHER);
    court.close();
}

#[test]
fn an_authority_for_certain_names() {
    let court = Court::open();
    let root = Authority::with_exactly(changed(authority("root"), &for_names_below_example));
    let cases: [NameCase<'_>; 7] = [
        (&["db.example"], "db", "db.example", [BOTH; 2]),
        (&["db.example"], "localhost", "localhost", [CHAIN; 2]),
        // OpenSSL takes a common name for one of a server only where it has a dot.
        (&[], "localhost", "localhost", [NEITHER, BOTH]),
        (&[], "db.elsewhere", "db.elsewhere", [NEITHER; 2]),
        (&["127.0.0.1"], "db.elsewhere", "127.0.0.1", [NEITHER; 2]),
        (&[], "db.example", "db.example", [NEITHER, BOTH]),
        (&["db.example"], "127.0.0.1", "127.0.0.1", [CHAIN, BOTH]),
    ];
    for (names, common, host, expected) in cases {
        let what = format!("{names:?} and {common} for {host}");
        court.judge_host(&what, &root.issue(names, common), &root.pem.certificate, host, expected);
    }
    court.close();
}

#[test]
fn servers_with_unfit_certificates() {
    let court = Court::open();
    let root = Authority::create("root");
    let unfit: [(&str, Change<'_>, Accepted); 8] = [
        (
            "for servers",
            &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            BOTH,
        ),
        ("for clients", &for_clients, NEITHER),
        ("for signatures", &|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature], BOTH),
        ("for key agreement", &|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement], BOTH),
        ("for revocation lists", &for_revocation_lists, NEITHER),
        ("with something unheard of", &with_something_unheard_of, NEITHER),
        ("not valid yet", &|params| params.not_before = date_time_ymd(2090, 1, 1), NEITHER),
        ("expired", &|params| params.not_after = date_time_ymd(1999, 12, 31), NEITHER),
    ];
    for (what, change, expected) in unfit {
        let params = changed(server(), change);
        court.judge(what, &root.sign(&params), &root.pem.certificate, expected);
        for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa] {
            let what = format!("{what}, signed by itself, {is_ca:?}");
            let itself = Authority::with_exactly(changed(params.clone(), &|params| params.is_ca = is_ca));
            court.judge(&what, &itself.pem, &itself.pem.certificate, expected);
        }
    }
    let other = Authority::create("root");
    court.judge("another root of that name", &other.sign(&server()), &root.pem.certificate, NEITHER);
    court.close();
}

/// Has openssl issue a certificate of version 1 for `localhost`.
fn issue_old(folder: &Path, root: &Authority) -> Pem {
    write(folder, "ca.crt", &root.pem.certificate);
    write(folder, "ca.key", &root.pem.key);
    let run = |arguments: &str| {
        succeed(Command::new("openssl").current_dir(folder).args(arguments.split(' ')));
    };
    run("req -new -nodes -newkey rsa:2048 -subj /CN=localhost -keyout old.key -out old.csr");
    run("x509 -req -in old.csr -days 30 -CA ca.crt -CAkey ca.key -CAcreateserial -out old.crt");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("openssl wrote it");
    Pem { certificate: read("old.crt"), key: read("old.key") }
}

#[test]
fn certificates_of_version_1() {
    let court = Court::open();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let roots: [(&str, Change<'_>, [Accepted; 2]); 6] = [
        ("a root", &|_| {}, [BOTH; 2]),
        ("a server", &|params| params.is_ca = IsCa::ExplicitNoCa, [NEITHER; 2]),
        ("a root for revocation lists", &for_revocation_lists, [NEITHER; 2]),
        ("a root for clients", &for_clients, [NEITHER; 2]),
        ("a root with something unheard of", &with_something_unheard_of, [NEITHER; 2]),
        ("a root for other names", &for_names_below_example, [NEITHER, BOTH]),
    ];
    for (what, change, expected) in roots {
        let root = Authority::with_exactly(changed(authority("root"), change));
        let pem = issue_old(folder.path(), &root);
        court.judge_host(what, &pem, &root.pem.certificate, "localhost", expected);
    }
    let root = Authority::create("root");
    let forged = issue_old(folder.path(), &Authority::create("root"));
    court.judge("another root of that name", &forged, &root.pem.certificate, NEITHER);
    let middle = issue_old(folder.path(), &root);
    let middle = Authority::of_name("localhost", middle);
    let leaf = chain(&middle.sign(&server()), &[&middle]);
    court.judge("an old certificate as an authority", &leaf, &root.pem.certificate, NEITHER);
    court.close();
}

#[test]
fn a_server_without_the_key_of_its_certificate() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let root = Authority::create("root");
    let path = encrypted.file("root.crt", &root.pem.certificate);
    let new = root.issue(&["localhost"], "localhost");
    let other = root.issue(&["localhost"], "localhost");
    let old = issue_old(encrypted.folder.path(), &root);
    let old_other = issue_old(encrypted.folder.path(), &root);
    for (shown, key) in [(&new, &other), (&old, &old_other), (&new, &old), (&old, &new)] {
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
    let court = Court::open();
    let root = Authority::create("root");
    let cases: &[AlikeCase<'_>] = &[
        ("x", &[(DNS, b"localhost")], "localhost", BOTH),
        ("x", &[(DNS, b"localhost")], "localhost.", CHAIN),
        ("x", &[(DNS, b"localhost.")], "localhost", CHAIN),
        ("localhost", &[(URI, b"x:y")], "localhost", BOTH),
        ("localhost", &[(DNS, b"localhost\0.example")], "localhost", CHAIN),
        ("x", &[(DNS, b"a\0b"), (DNS, b"localhost")], "localhost", CHAIN),
        ("localhost\0.example", &[], "localhost", CHAIN),
        ("localhost", &[(X400, b""), (DNS, b"x")], "localhost", CHAIN),
        ("localhost", &[(DNS, b"\xc3\xbc")], "localhost", CHAIN),
        ("127.0.0.1", &[(IP, b"\x7f\0\0")], "127.0.0.1", CHAIN),
        ("127.0.0.1", &[(IP, b"\x7f\0\0\x02")], "127.0.0.1", CHAIN),
        ("127.0.0.1", &[(DNS, b"x")], "127.0.0.1", BOTH),
        ("x", &[(IP, b"\x7f\0\0\x01")], "127.0.0.1", BOTH),
        ("x", &[(IP, b"\x7f\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0")], "127.0.0.1", CHAIN),
        ("x", &[(DNS, b"127.0.0.1")], "127.0.0.1", BOTH),
        ("x", &[(DNS, b"*.0.0.1")], "127.0.0.1", BOTH),
        ("x", &[(DNS, b"*")], "localhost", CHAIN),
        ("x", &[(DNS, b"*.")], "localhost.", CHAIN),
        ("x", &[(DNS, b"*.example")], "db.example", BOTH),
        ("*.example", &[], "db.example", BOTH),
        ("x", &[(DNS, b"*.example")], "a.db.example", CHAIN),
        ("x", &[(DNS, b"*.*.example")], "a.db.example", CHAIN),
        ("x", &[(DNS, b"a.*.example")], "a.db.example", CHAIN),
        ("x", &[(DNS, b"d*.example")], "db.example", CHAIN),
    ];
    for (common, names, host, expected) in cases {
        let mut params = params(&[], common);
        if !names.is_empty() {
            params.custom_extensions = vec![alternatives(names)];
        }
        let what = format!("{common:?} {names:?} for {host}");
        court.judge_host(&what, &root.sign(&params), &root.pem.certificate, host, [*expected; 2]);
    }
    court.close();
}
