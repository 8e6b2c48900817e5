//! Who a server is.

use std::fs;
use std::process::Command;

use super::Encrypted;
use crate::support::certificates::{Authority, Pem, self_signed};
use crate::support::programs::{errors, succeed};

#[test]
fn every_mode_with_every_certificate_is_as_in_psql() {
    let authority = Authority::create("authority");
    let other = Authority::create("other authority");
    let certificates = [
        authority.issue(&["localhost", "127.0.0.1"], "localhost"),
        authority.issue(&[], "localhost"),
        authority.issue(&[], "elsewhere"),
        authority.issue(&["elsewhere"], "localhost"),
        authority.issue(&["127.0.0.1"], "localhost"),
        authority.issue(&["*.example"], "localhost"),
        authority.issue_expired("localhost"),
        other.issue(&["localhost"], "localhost"),
        self_signed("localhost"),
    ];
    let encrypted = Encrypted::start(&certificates[0], |builder| builder);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let both = encrypted.file("both.crt", &(authority.pem.certificate.clone() + &other.pem.certificate));
    let itself = encrypted.file("self.crt", &certificates[8].certificate);
    let mut seen = Vec::new();
    for pem in &certificates {
        encrypted.use_certificate(pem);
        encrypted.restart();
        for mode in ["prefer", "require", "verify-ca", "verify-full"] {
            for root in ["", &root, &both, &itself] {
                let more = format!("sslmode={mode} sslrootcert={root}");
                seen.push(encrypted.compare(&encrypted.conninfo(&more)).ok());
            }
        }
        let full = encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={both} hostaddr=127.0.0.1"));
        for host in ["127.0.0.1", "elsewhere", "LocalHost", "db.example", "a.db.example"] {
            let conninfo = full.replace("host=localhost", &format!("host={host}"));
            seen.push(encrypted.compare(&conninfo).ok());
        }
    }
    let count = |wanted| seen.iter().filter(|one| **one == wanted).count();
    assert_eq!([count(Some(true)), count(Some(false)), count(None)], [77, 13, 99]);
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
        &["cannot connect to database `postgres`", "none of the root certificates"],
    );
    encrypted.refused(&full("/no/such/file"), &["root certificate file `/no/such/file` does not exist"]);
    encrypted.refused(&full(&empty), &["cannot use `", "empty.crt`", "holds no certificate"]);
    encrypted.refused(
        &full(&root).replace("host=localhost", "host=elsewhere hostaddr=127.0.0.1"),
        &["it is for `localhost`, not for `elsewhere`"],
    );
    encrypted.refused(&encrypted.conninfo("sslmode=verify-ca"), &["root certificate"]);
    encrypted.use_certificate(&authority.issue_expired("localhost"));
    encrypted.restart();
    encrypted.refused(&full(&root), &["the server's certificate is not accepted: it has expired"]);
    let expired = Authority::create_expired("expired");
    encrypted.use_certificate(&expired.issue(&["localhost"], "localhost"));
    encrypted.restart();
    let expired = encrypted.file("expired.crt", &expired.pem.certificate);
    encrypted.refused(&full(&expired), &["all root certificates have expired"]);
    encrypted.set("ssl", "off");
    encrypted.restart();
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
    encrypted.refused(&conninfo(&revoked), &["it was revoked"]);
    assert_eq!(encrypted.compare(&conninfo(&other)), Ok(true));
    let unrelated = encrypted.file("unrelated.crl", &Authority::create("unrelated").revoke(8));
    encrypted.refused(&conninfo(&unrelated), &["the revocation list does not say"]);
}

#[test]
fn certificates_made_by_the_old_recipe() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let folder = encrypted.folder.path();
    let run = |arguments: &str| {
        succeed(Command::new("openssl").current_dir(folder).args(arguments.split(' ')));
    };
    run("req -new -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=authority -keyout ca.key -out ca.crt");
    run("req -new -nodes -newkey rsa:2048 -subj /CN=localhost -keyout server.key -out server.csr");
    run("x509 -req -in server.csr -days 30 -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt");
    run("req -new -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=authority -keyout no.key -out no.crt");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("openssl wrote it");
    encrypted.use_certificate(&Pem { certificate: read("server.crt"), key: read("server.key") });
    encrypted.restart();
    let path = |name: &str| folder.join(name).display().to_string();
    for version in ["TLSv1.2", "TLSv1.3"] {
        encrypted.set("ssl_min_protocol_version", version);
        encrypted.set("ssl_max_protocol_version", version);
        encrypted.restart();
        assert_eq!(encrypted.compare(&encrypted.conninfo("sslmode=require")), Ok(true));
        let full = encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={}", path("ca.crt")));
        assert_eq!(encrypted.compare(&full), Ok(true));
        encrypted
            .refused(&full.replace("ca.crt", "no.crt"), &["none of the root certificates vouches for it"]);
        let elsewhere = full.replace("host=localhost", "host=elsewhere hostaddr=127.0.0.1");
        encrypted.refused(&elsewhere, &["it is for `localhost`, not for `elsewhere`"]);
    }
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
    encrypted.restart();
    assert_eq!(encrypted.compare(&old), Ok(true));
    encrypted.refused(&modern, &["does not speak such a version of TLS"]);
}

#[test]
fn the_systems_root_certificates() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| builder);
    let conninfo = encrypted.conninfo("sslrootcert=system");
    let error = encrypted.seen(&conninfo).expect_err("no system knows it");
    assert!(error.contains("none of the root certificates vouches for it"), "{error}");
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
