//! Certificates that the usual recipes have long produced, which rustls refuses, and the recipes in our messages.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Encrypted;
use super::certificates::Difference;
use crate::support::certificates::{Pem, self_signed};
use crate::support::programs::succeed;

fn openssl(folder: &Path, arguments: &str) {
    succeed(Command::new("openssl").current_dir(folder).args(arguments.split(' ')));
}

/// Returns the certificate and key that openssl wrote.
fn pem(folder: &Path, name: &str) -> Pem {
    let read =
        |end: &str| fs::read_to_string(folder.join(format!("{name}.{end}"))).expect("openssl wrote it");
    Pem { certificate: read("crt"), key: read("key") }
}

impl Encrypted {
    fn show(&self, pem: &Pem) {
        self.use_certificate(pem);
        self.reload();
    }

    /// Fails unless psql accepts a server that programs refuse with all of `expected`.
    #[track_caller]
    fn refused_unlike_psql(&self, conninfo: &str, difference: Difference, expected: &[&str]) {
        assert_eq!(self.psql(conninfo), Ok(true), "{difference:?}");
        self.refused_here(conninfo, expected);
    }
}

#[test]
fn version_1() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let folder = encrypted.folder.path();
    let run = |arguments: &str| openssl(folder, arguments);
    run("req -new -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=authority -keyout ca.key -out ca.crt");
    run("req -new -nodes -newkey rsa:2048 -subj /CN=localhost -keyout server.key -out server.csr");
    let issue = "x509 -req -in server.csr -days 30 -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt";
    run(issue);
    encrypted.show(&pem(folder, "server"));
    let root = folder.join("ca.crt").display().to_string();
    let full = encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={root}"));
    let message = [
        "the server's certificate is not accepted: it, or one above it, is of version 1; issue",
        "`openssl x509 -req -extfile FILE`, with `subjectAltName=DNS:HOST` in the file",
    ];
    for version in ["TLSv1.2", "TLSv1.3"] {
        encrypted.set("ssl_min_protocol_version", version);
        encrypted.set("ssl_max_protocol_version", version);
        encrypted.reload();
        for conninfo in [&full, &encrypted.conninfo("sslmode=require")] {
            encrypted.refused_unlike_psql(conninfo, Difference::Version1, &message);
        }
        let prefer = encrypted.conninfo("sslmode=prefer");
        assert_eq!([encrypted.seen(&prefer), encrypted.psql(&prefer)], [Ok(false), Ok(true)]);
    }
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("the folder is writable");
    run(&format!("{issue} -extfile names"));
    encrypted.show(&pem(folder, "server"));
    assert_eq!(encrypted.compare(&full), Ok(true));
}

#[test]
fn an_authoritys_certificate() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let folder = encrypted.folder.path();
    let recipe =
        "req -x509 -days 30 -nodes -newkey rsa:2048 -subj /CN=localhost -keyout server.key -out server.crt";
    openssl(folder, recipe);
    encrypted.show(&pem(folder, "server"));
    let root = folder.join("server.crt").display().to_string();
    let full = encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={root}"));
    let message = [
        "the server's certificate is not accepted: it is an authority's; issue",
        "`openssl req -x509 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:HOST`",
    ];
    encrypted.refused_unlike_psql(&full, Difference::AuthorityAsServer, &message);
    assert_eq!(encrypted.compare(&encrypted.conninfo("sslmode=require")), Ok(true));
    let more = "-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost";
    openssl(folder, &format!("{recipe} {more}"));
    encrypted.show(&pem(folder, "server"));
    assert_eq!(encrypted.compare(&full), Ok(true));
}
