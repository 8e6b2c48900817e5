//! Verifying servers.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose, SerialNumber};

use super::Encrypted;
use crate::support::amount;
use crate::support::certificates::{Authority, Pem, params};
use crate::support::programs::{errors, succeed};

fn intermediate(name: &str, number: u64) -> CertificateParams {
    let mut params = params(&[], name);
    params.serial_number = Some(SerialNumber::from(number));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn signed_by_itself() -> Pem {
    let mut params = params(&["localhost"], "localhost");
    params.is_ca = IsCa::ExplicitNoCa;
    Authority::with_exactly(params).pem
}

#[test]
fn every_mode_with_every_certificate_is_as_in_psql() {
    let (authority, other) = (Authority::create("authority"), Authority::create("other authority"));
    let certificates = [
        authority.issue(&["localhost", "127.0.0.1"], "localhost"),
        authority.issue(&[], "localhost"),
        authority.issue(&[], "elsewhere"),
        authority.issue(&["elsewhere"], "localhost"),
        authority.issue(&["127.0.0.1"], "localhost"),
        authority.issue(&["*.db.example"], "localhost"),
        authority.issue_expired("localhost"),
        other.issue(&["localhost"], "localhost"),
        signed_by_itself(),
    ];
    let encrypted = Encrypted::start(&certificates[0], |builder| builder);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let both = encrypted.file("both.crt", &(authority.pem.certificate.clone() + &other.pem.certificate));
    let itself = encrypted.file("self.crt", &certificates[8].certificate);
    let mut conninfos = Vec::new();
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        for root in ["", &root, &both, &itself] {
            conninfos.push(encrypted.conninfo(&format!("sslmode={mode} sslrootcert={root}")));
        }
    }
    let full = encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={both} hostaddr=127.0.0.1"));
    for host in ["127.0.0.1", "elsewhere", "LocalHost", "db.example", "a.db.example"] {
        conninfos.push(full.replace("host=localhost", &format!("host={host}")));
    }
    let mut seen = Vec::new();
    for (number, pem) in certificates.iter().enumerate() {
        encrypted.use_certificate(pem);
        encrypted.reload();
        // The short form takes every third, and each of them for three certificates.
        let step = amount::pick(3, 1);
        let some = conninfos.iter().skip(number % step).step_by(step);
        seen.extend(some.map(|one| encrypted.compare(one).ok()));
    }
    let count = |wanted| seen.iter().filter(|one| **one == wanted).count();
    let expected = amount::pick([26, 5, 32], [77, 13, 99]);
    assert_eq!([Some(true), Some(false), None].map(count), expected);
}

#[test]
fn a_refusal_is_one_clear_line() {
    let authority = Authority::create("authority");
    let pem = authority.issue(&["localhost"], "localhost");
    let encrypted = Encrypted::start(&pem, |builder| builder);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let unrelated = encrypted.file("unrelated.crt", &Authority::create("unrelated").pem.certificate);
    let empty = encrypted.file("empty.crt", "");
    let full = |root: &str| encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={root}"));
    assert_eq!(encrypted.compare(&full(&root)), Ok(true));
    encrypted.refused(
        &full(&unrelated),
        &["cannot connect to database `postgres`", "none of the root certificates has issued it; append"],
    );
    encrypted.refused(&full("/no/such/file"), &["root certificate file `/no/such/file` does not exist"]);
    encrypted.refused(&full(&empty), &["cannot use `", "empty.crt`", "contains no certificate"]);
    encrypted.refused(
        &full(&root).replace("host=localhost", "host=elsewhere hostaddr=127.0.0.1"),
        &["it is for `localhost`, not for `elsewhere`; issue it with `subjectAltName=DNS:elsewhere`"],
    );
    encrypted.refused(&encrypted.conninfo("sslmode=verify-ca"), &["root certificate"]);
    encrypted.use_certificate(&authority.issue_expired("localhost"));
    encrypted.reload();
    encrypted.refused(
        &full(&root),
        &["the server's certificate is not accepted: it, or one above it, has expired; issue a new one"],
    );
    let middle = authority.issue_authority(params(&[], "middle"));
    let middle = encrypted.file("middle.crt", &middle.pem.certificate);
    encrypted.refused(&full(&middle), &["middle.crt`", "it contains no root certificate", "append it"]);
    encrypted.set("ssl", "off");
    encrypted.reload();
    encrypted.refused(&full(&root), &["the server does not offer encryption"]);
}

#[test]
fn a_revoked_certificate() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue_numbered("localhost", 7), |builder| builder);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let revoked = encrypted.file("revoked.crl", &authority.revoke(7));
    let other = encrypted.file("other.crl", &authority.revoke(8));
    let conninfo =
        |crl: &str| encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={root} sslcrl={crl}"));
    encrypted.refused(&conninfo(&revoked), &["it, or one above it, was revoked"]);
    assert_eq!(encrypted.compare(&conninfo(&other)), Ok(true));
    let middle = authority.issue_authority(intermediate("middle", 9));
    encrypted.use_certificate(&middle.issue(&["localhost"], "localhost"));
    encrypted.reload();
    let both = middle.pem.certificate.clone() + &authority.pem.certificate;
    encrypted.file("authority.crt", &both);
    let lists = |number| encrypted.file("lists.crl", &(authority.revoke(number) + &middle.revoke(8)));
    assert_eq!(encrypted.compare(&conninfo(&lists(8))), Ok(true));
    encrypted.refused(&conninfo(&lists(9)), &["it, or one above it, was revoked"]);
    let unrelated = encrypted.file("unrelated.crl", &Authority::create("unrelated").revoke(8));
    encrypted.refused(&conninfo(&unrelated), &["no revocation list covers", "append the list to sslcrl"]);
}

#[test]
fn versions_of_the_protocol() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| builder);
    let modern = encrypted.conninfo("sslmode=require ssl_min_protocol_version=TLSv1.3");
    let old = encrypted.conninfo("sslmode=require ssl_max_protocol_version=TLSv1.2");
    assert_eq!(encrypted.compare(&modern), Ok(true));
    assert_eq!(encrypted.compare(&old), Ok(true));
    encrypted.set("ssl_max_protocol_version", "TLSv1.2");
    encrypted.reload();
    assert_eq!(encrypted.compare(&old), Ok(true));
    encrypted.refused(&modern, &["does not support that version of TLS; change ssl_min_protocol_version"]);
}

#[test]
fn the_systems_root_certificates() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| builder);
    let conninfo = encrypted.conninfo("sslrootcert=system");
    let error = encrypted.seen(&conninfo).expect_err("no system trusts it");
    assert!(error.contains("none of the root certificates has issued it"), "{error}");
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let ini = encrypted.folder.path().join("run.ini");
    assert!(fs::read_to_string(&ini).expect("written").contains("sslrootcert=system"));
    let mut command = encrypted.command("run_sql");
    succeed(command.arg("run.ini").env("SSL_CERT_FILE", &root));
    let elsewhere = conninfo.replace("host=localhost", "host=elsewhere hostaddr=127.0.0.1");
    fs::write(&ini, fs::read_to_string(&ini).expect("written").replace(&conninfo, &elsewhere))
        .expect("writable");
    let output = command.output().expect("the program starts");
    assert!(errors(&output).contains("not for `elsewhere`"), "{}", errors(&output));
}
