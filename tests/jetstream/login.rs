//! Encryption and credentials.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::Setup;
use crate::support::certificates::{self, Authority, Pem};
use crate::support::nats::{JETSTREAM, NatsServer};
use crate::support::nats_accounts::{Account, Operator, User};
use crate::support::output::SECRET;
use crate::support::programs::errors;

/// Runs the mover with all that it can log. It reads the certificate of the authority from this file.
fn run(setup: &Setup, authority: &Path, switches: &[&str]) -> Output {
    let mut command = setup.mover(&[&["-v", "-v"], switches].concat());
    command.env("SSL_CERT_FILE", authority).env_remove("SSL_CERT_DIR").output().expect("the program starts")
}

/// Fails unless the mover ends with one line that has this text, and returns all that it has logged.
#[track_caller]
fn assert_fails(setup: &Setup, authority: &Path, expected: &str) -> String {
    let output = run(setup, authority, &["--set", "loop_delay=0"]);
    let text = errors(&output);
    // The client logs a line of its own about some errors.
    let is_own = |line: &&str| line.contains(" ERROR ") && !line.contains(" error=");
    let lines: Vec<&str> = text.lines().filter(is_own).collect();
    assert!(!output.status.success(), "{text}");
    assert!(lines.len() == 1 && lines[0].contains(expected), "{expected}: {text}");
    text
}

/// Fails unless the mover moves events, and returns all that it has logged.
#[track_caller]
fn assert_moves(setup: &Setup, authority: &Path) -> String {
    let registered = run(setup, authority, &["--register"]);
    assert!(registered.status.success(), "{}", errors(&registered));
    setup.insert(0, 10);
    let output = run(setup, authority, &["--set", "loop_delay=0"]);
    let text = errors(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("{count: 10,"), "{text}");
    errors(&registered) + &text
}

/// A folder with the files of a server's encryption.
struct Files {
    folder: tempfile::TempDir,
    authority: PathBuf,
}

impl Files {
    fn create(authority: &Authority, server: &Pem) -> Files {
        let folder = tempfile::tempdir().expect("a temporary folder");
        certificates::write(folder.path(), "key", &server.key);
        certificates::write(folder.path(), "certificate", &server.certificate);
        let authority = certificates::write(folder.path(), "authority", &authority.pem.certificate);
        Files { folder, authority }
    }

    /// Starts an encrypted server, and returns a mover's setup with a URL of this scheme.
    fn setup(&self, scheme: &str) -> Setup {
        let folder = self.folder.path().display();
        let files = format!("cert_file: \"{folder}/certificate\", key_file: \"{folder}/key\"");
        let setup = Setup::on(NatsServer::start_with(&format!("{JETSTREAM}\ntls {{ {files} }}")));
        setup.write_ini(&[("nats_url", &setup.nats.url().replace("nats://", scheme))]);
        setup
    }
}

#[test]
fn an_encrypted_server_is_verified() {
    let authority = Authority::create("ours");
    let good = Files::create(&authority, &authority.issue(&["127.0.0.1"], "nats"));
    let other = Files::create(&Authority::create("theirs"), &authority.issue(&["127.0.0.1"], "nats"));
    for scheme in ["tls://", "nats://"] {
        let setup = good.setup(scheme);
        assert_fails(&setup, &other.authority, "invalid peer certificate: UnknownIssuer");
        assert_moves(&setup, &good.authority);
    }
    let elsewhere = Files::create(&authority, &authority.issue(&["nats.example.org"], "nats"));
    assert_fails(&elsewhere.setup("tls://"), &elsewhere.authority, "not valid for name");
}

#[test]
fn a_server_that_demands_a_certificate_of_the_client() {
    let authority = Authority::create("ours");
    let files = Files::create(&authority, &authority.issue(&["127.0.0.1"], "nats"));
    let folder = files.folder.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let tls = format!(
        "cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true",
        path("certificate"),
        path("key"),
        path("authority")
    );
    let setup = Setup::on(NatsServer::start_with(&format!("{JETSTREAM}\ntls {{ {tls} }}")));
    let (url, ca) = (setup.nats.url().replace("nats://", "tls://"), path("authority"));
    let client = |pem: &Pem| {
        certificates::write(folder, "client", &pem.certificate);
        certificates::write(folder, "client_key", &pem.key);
    };
    let (certificate, key) = (path("client"), path("client_key"));
    let keys = [("nats_url", &*url), ("nats_ca", &ca)];
    let with_certificate = [&keys[..], &[("nats_cert", &certificate), ("nats_key", &key)]].concat();
    setup.write_ini(&keys);
    assert_fails(&setup, no_authority(), "cannot connect to NATS at `127.0.0.1:");
    client(&Authority::create("theirs").issue(&[], "mover"));
    setup.write_ini(&with_certificate);
    assert_fails(&setup, no_authority(), "cannot connect to NATS at `127.0.0.1:");
    client(&authority.issue(&[], "mover"));
    assert_moves(&setup, no_authority());
    // The key of another certificate.
    certificates::write(folder, "client_key", &authority.issue(&[], "mover").key);
    assert_fails(&setup, no_authority(), "cannot connect to NATS at `127.0.0.1:");
}

#[test]
fn a_server_without_encryption_is_refused_if_the_address_demands_it() {
    let setup = Setup::create();
    let authority = Authority::create("ours");
    let files = Files::create(&authority, &authority.issue(&["127.0.0.1"], "nats"));
    setup.write_ini(&[("nats_url", &setup.nats.url().replace("nats://", "tls://"))]);
    assert_fails(&setup, &files.authority, "cannot connect to NATS at `127.0.0.1:");
}

/// A path for servers without encryption.
fn no_authority() -> &'static Path {
    Path::new("/dev/null")
}

#[test]
fn a_token_in_the_address() {
    let lines = format!("{JETSTREAM}\nauthorization {{ token: \"s3cret/1\" }}");
    let setup = Setup::on(NatsServer::start_with(&lines));
    let url = setup.nats.url();
    setup.write_ini(&[("nats_url", &url.replace("//", "//wr0ng@"))]);
    let text = assert_fails(&setup, no_authority(), "authorization violation");
    assert!(!text.contains("wr0ng"), "{text}");
    // The file has two `%` for one.
    setup.write_ini(&[("nats_url", &url.replace("//", "//s3cret%%2F1@"))]);
    let text = assert_moves(&setup, no_authority());
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn a_file_with_credentials() {
    let operator = Operator::create();
    let [ours, theirs] = [Account::create("ours"), Account::create("theirs")];
    let setup = Setup::on(NatsServer::start_with(&operator.config(&ours)));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let user = User::create();
    let creds = certificates::write(folder.path(), "user.creds", "");
    setup.write_ini(&[("nats_creds", &creds.display().to_string())]);
    let seed = user.seed();
    let check_secret = |text: String| assert!(!text.contains(&seed), "{text}");
    check_secret(assert_fails(&setup, no_authority(), "cannot read the credentials in"));
    let write = |text: &str| drop(certificates::write(folder.path(), "user.creds", text));
    // A user of an account that the server does not have.
    write(&user.credentials(&theirs));
    check_secret(assert_fails(&setup, no_authority(), "authorization violation"));
    // The key of another user.
    write(&user.credentials(&ours).replace(&seed, &User::create().seed()));
    check_secret(assert_fails(&setup, no_authority(), "authorization violation"));
    write(&user.credentials(&ours));
    let url = setup.nats.url().replace("//", "//clerk:s3cret@");
    let creds = creds.display().to_string();
    setup.write_ini(&[("nats_creds", &creds), ("nats_url", &url)]);
    check_secret(assert_fails(
        &setup,
        no_authority(),
        "`nats_creds` and a user or token in `nats_url` exclude each",
    ));
    setup.write_ini(&[("nats_creds", &creds)]);
    check_secret(assert_moves(&setup, no_authority()));
}
