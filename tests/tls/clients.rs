//! Encryption of connections, and authentication of clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::{Encrypted, MODES, SECRET};
use crate::support::amount::pick;
use crate::support::certificates::{Authority, self_signed, write};
use crate::support::programs::{Running, succeed};
use crate::support::server::Builder;
use crate::support::tls_only::{Hello, TlsOnly};
use crate::support::wait_for;

/// The role `sealed` connects with encryption only, and the role `open` without it only.
const SEALED_AND_OPEN: [&str; 4] = [
    "hostssl all sealed 127.0.0.1/32 trust",
    "host all sealed 127.0.0.1/32 reject",
    "hostnossl all open 127.0.0.1/32 trust",
    "host all open 127.0.0.1/32 reject",
];

#[test]
fn a_server_that_insists_or_refuses_is_tried_in_the_other_way() {
    let authority = Authority::create("authority");
    let pem = authority.issue(&["localhost"], "localhost");
    let encrypted = Encrypted::start(&pem, |builder| SEALED_AND_OPEN.into_iter().fold(builder, Builder::hba));
    let mut client = encrypted.server.client("postgres");
    client.batch_execute("create role open login superuser").expect("the role is new");
    let root = encrypted.file("root.crt", &authority.pem.certificate);
    let unrelated = encrypted.file("unrelated.crt", &Authority::create("unrelated").pem.certificate);
    let mut seen = Vec::new();
    // The short form takes every fifth combination, so that every value of each is in some.
    let mut numbers = 0..;
    for ssl in ["on", "off"] {
        encrypted.set("ssl", ssl);
        encrypted.reload();
        for user in ["postgres", "sealed", "open"] {
            for mode in MODES {
                for root in [&root, &unrelated] {
                    let more = format!("sslmode={mode} sslrootcert={root}");
                    let conninfo =
                        encrypted.conninfo(&more).replace("user=postgres", &format!("user={user}"));
                    if numbers.next().is_some_and(|number| number % pick(5, 1) == 0) {
                        seen.push(encrypted.compare(&conninfo).ok());
                    }
                }
            }
        }
    }
    encrypted.set("ssl", "on");
    encrypted.reload();
    let more = format!("sslmode=prefer sslrootcert={unrelated}");
    let conninfo = encrypted.conninfo(&more).replace("user=postgres", "user=sealed");
    let ways = [
        "encrypted: error performing TLS handshake: the server's certificate",
        "; not encrypted: FATAL 28000",
    ];
    encrypted.refused(&conninfo, &ways);
    let count = |wanted| seen.iter().filter(|one| **one == wanted).count();
    let expected = pick([2, 6, 7], [9, 23, 40]);
    assert_eq!([count(Some(true)), count(Some(false)), count(None)], expected);
}

/// Starts a server that requires a certificate of the authority from role `sealed`.
fn requiring_certificates(authority: &Authority) -> Encrypted {
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| {
        builder.hba("hostssl all sealed 127.0.0.1/32 cert").hba("host all sealed 127.0.0.1/32 reject")
    });
    encrypted.server.write_file("root.crt", &authority.pem.certificate);
    encrypted.set("ssl_ca_file", "root.crt");
    encrypted.reload();
    encrypted
}

/// A server that requires certificates, and the files of role `sealed`.
struct Sealed {
    encrypted: Encrypted,
    cert: String,
    key: String,
}

impl Sealed {
    fn start(authority: &Authority) -> Sealed {
        let encrypted = requiring_certificates(authority);
        let pem = authority.issue(&[], "sealed");
        let cert = encrypted.file("client.crt", &pem.certificate);
        let key = encrypted.file("client.key", &pem.key);
        Sealed { encrypted, cert, key }
    }

    fn conninfo(&self, more: &str) -> String {
        self.encrypted.conninfo(&format!("sslmode=require {more}")).replace("user=postgres", "user=sealed")
    }

    fn with_key(&self, key: &str) -> String {
        self.conninfo(&format!("sslcert={} sslkey={key}", self.cert))
    }
}

#[test]
fn a_clients_certificate_is_sent() {
    let authority = Authority::create("authority");
    let sealed = Sealed::start(&authority);
    let encrypted = &sealed.encrypted;
    assert_eq!(encrypted.compare(&sealed.with_key(&sealed.key)), Ok(true));
    encrypted.refused(&sealed.conninfo(""), &["28000", "client certificate"]);
    encrypted.refused(&sealed.with_key("/no/such.key"), &["cannot use `/no/such.key`", "No such file"]);
    let other = encrypted.file("other.key", &authority.issue(&[], "sealed").key);
    encrypted.refused(&sealed.with_key(&other), &["sslcert and sslkey"]);
    let foreign = Authority::create("foreign").issue(&[], "sealed");
    let cert = encrypted.file("foreign.crt", &foreign.certificate);
    let key = encrypted.file("foreign.key", &foreign.key);
    let foreign = format!("sslcert={cert} sslkey={key}");
    encrypted.refused(&sealed.conninfo(&foreign), &["client's certificate"]);
    let _ = encrypted.compare(&encrypted.conninfo(&format!("sslmode=prefer {foreign}")));
    let _ = encrypted
        .compare(&encrypted.conninfo(&format!("sslmode=prefer ssl_max_protocol_version=TLSv1.2 {foreign}")));
}

#[test]
fn formats_and_modes_of_keys() {
    let sealed = Sealed::start(&Authority::create("authority"));
    let encrypted = &sealed.encrypted;
    let folder = encrypted.folder.path();
    let convert = |name: &str, arguments: &[&str]| openssl(folder, &sealed.key, name, arguments);
    let password = format!("pass:{SECRET}");
    let modern = convert("modern.key", &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", &password]);
    let with_password = |key: &str| format!("{} sslpassword={SECRET}", sealed.with_key(key));
    assert_eq!(encrypted.compare(&with_password(&modern)), Ok(true));
    encrypted.refused(
        &format!("{} sslpassword=not-{SECRET}", sealed.with_key(&modern)),
        &["modern.key`", "sslpassword is wrong"],
    );
    let error = encrypted.seen(&sealed.with_key(&modern)).expect_err("no password");
    assert!(error.contains("it is encrypted: set sslpassword"), "{error}");
    let old = convert("old.key", &["ec", "-aes256", "-passout", &password]);
    let error = encrypted.seen(&with_password(&old)).expect_err("not supported");
    assert!(error.contains("openssl pkcs8 -topk8") && !error.contains(SECRET), "{error}");
    let sec1 = convert("sec1.key", &["ec"]);
    assert_eq!(encrypted.compare(&sealed.with_key(&sec1)), Ok(true));
    fs::set_permissions(&sealed.key, fs::Permissions::from_mode(0o644)).expect("the file is the test's");
    encrypted.refused(&sealed.with_key(&sealed.key), &["client.key`", "0600"]);
}

/// Has openssl turn one file into another, and returns its path.
fn openssl(folder: &Path, input: &str, name: &str, arguments: &[&str]) -> String {
    let path = write(folder, name, "").display().to_string();
    let mut openssl = Command::new("openssl");
    let (command, more) = arguments.split_first().expect("a command");
    succeed(openssl.arg(command).args(["-in", input, "-out", &path]).args(more));
    path
}

#[test]
fn passwords_are_bound_to_the_channel() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| {
        builder.hba("host all sealed 127.0.0.1/32 scram-sha-256")
    });
    let statement = format!("alter role sealed password '{SECRET}'");
    encrypted.server.client("postgres").batch_execute(&statement).expect("a superuser may");
    for password in [SECRET, "wrong-s3cret"] {
        for binding in ["require", "prefer", "disable"] {
            for mode in ["disable", "prefer", "require"] {
                let more = format!("sslmode={mode} channel_binding={binding} password={password}");
                let conninfo = encrypted.conninfo(&more).replace("user=postgres", "user=sealed");
                let seen = encrypted.compare(&conninfo);
                if let Err(text) = &seen {
                    assert!(!text.contains(password), "{text}");
                }
                let bound = binding != "require" || mode != "disable";
                assert_eq!(seen.is_ok(), password == SECRET && bound, "{conninfo}: {seen:?}");
            }
        }
    }
}

#[test]
fn a_socket_is_never_encrypted() {
    let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
    let folder = format!("host={}", encrypted.server.socket_dir().display());
    for mode in ["prefer", "require"] {
        let conninfo = encrypted.conninfo(&format!("sslmode={mode}")).replace("host=localhost", &folder);
        assert_eq!(encrypted.compare(&conninfo), Ok(false));
    }
    let addressed = format!("{folder} hostaddr=127.0.0.1");
    let conninfo = encrypted.conninfo("sslmode=require").replace("host=localhost", &addressed);
    assert_eq!(encrypted.compare(&conninfo), Ok(true));
}

#[test]
fn encryption_from_the_first_byte_on() {
    let authority = Authority::create("authority");
    let pem = authority.issue(&["localhost"], "localhost");
    let encrypted = Encrypted::start(&pem, |builder| builder);
    let door = TlsOnly::start(&pem, &encrypted.server);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let conninfo = |more: &str| {
        format!("host=localhost port={} user=postgres dbname=postgres sslrootcert={root} {more}", door.port())
    };
    let direct = "sslmode=verify-full sslnegotiation=direct";
    let hello =
        |name: Option<&str>| Hello { name: name.map(str::to_owned), protocol: Some("postgresql".to_owned()) };
    // Behind the door the server's own connection is a socket's.
    assert_eq!(encrypted.seen(&conninfo(direct)), Ok(false));
    assert_eq!(door.take_hellos(), [hello(Some("localhost"))]);
    assert_eq!(encrypted.seen(&conninfo(&format!("{direct} sslsni=0"))), Ok(false));
    assert_eq!(door.take_hellos(), [hello(None)]);
    assert!(encrypted.seen(&conninfo("sslmode=require")).is_err(), "it does not speak PostgreSQL's protocol");
    for protocols in [&[][..], &["http/1.1"]] {
        let door = TlsOnly::start_speaking(protocols, &pem, &encrypted.server);
        let full =
            format!("host=localhost port={} user=postgres dbname=postgres sslrootcert={root}", door.port());
        let error = encrypted.seen(&format!("{full} {direct}")).expect_err("it may speak anything");
        assert!(
            error.contains("PostgreSQL's protocol") || error.contains("NoApplicationProtocol"),
            "{error}"
        );
    }
}

#[test]
fn a_cancel_request_is_encrypted_too() {
    let authority = Authority::create("authority");
    let pem = authority.issue(&["localhost"], "localhost");
    let encrypted = Encrypted::start(&pem, |builder| builder);
    let door = TlsOnly::start(&pem, &encrypted.server);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let ini = format!(
        "[run_sql]\nsql = select pg_sleep(1000)\ndb = host=localhost port={} user=postgres dbname=postgres \
         sslmode=verify-full sslrootcert={root} sslnegotiation=direct\n",
        door.port()
    );
    fs::write(encrypted.folder.path().join("run.ini"), ini).expect("the folder is writable");
    let mut program = Running::start(encrypted.command("run_sql").arg("run.ini"));
    let mut client = encrypted.server.client("postgres");
    let mut sleeping = || {
        let running = "select count(*) from pg_stat_activity \
                       where query like 'select pg_sleep%' and state = 'active'";
        client.query_one(running, &[]).expect("readable").get::<_, i64>(0) == 1
    };
    wait_for("the statement to run", &mut sleeping);
    program.signal(Signal::SIGTERM);
    assert!(program.wait().is_some());
    wait_for("the statement to end", || !sleeping());
    assert!(encrypted.server.log().contains("canceling statement due to user request"));
    assert!(door.take_hellos().len() > 1);
}

#[test]
fn the_files_in_the_home_folder() {
    let authority = Authority::create("authority");
    let encrypted = requiring_certificates(&authority);
    let home = encrypted.folder.path().join(".postgresql");
    fs::create_dir(&home).expect("the folder is new");
    let all_modes =
        || MODES.map(|mode| encrypted.compare(&encrypted.conninfo(&format!("sslmode={mode}"))).ok());
    write(&home, "root.crt", &Authority::create("unrelated").pem.certificate);
    assert_eq!(all_modes(), [Some(false), Some(false), Some(false), None, None, None]);
    write(&home, "root.crt", &authority.pem.certificate);
    assert_eq!(all_modes(), [Some(false), Some(false), Some(true), Some(true), Some(true), Some(true)]);
    let sealed = encrypted.conninfo("").replace("user=postgres", "user=sealed");
    let pem = authority.issue(&[], "sealed");
    write(&home, "postgresql.crt", &pem.certificate);
    encrypted.refused(&format!("{sealed} sslmode=require"), &["postgresql.key`", "No such file"]);
    write(&home, "postgresql.key", &pem.key);
    assert_eq!(encrypted.compare(&sealed), Ok(true));
    write(&home, "root.crl", &authority.revoke(1));
    assert_eq!(encrypted.compare(&sealed), Ok(true));
    write(&home, "root.crl", &Authority::create("unrelated").revoke(1));
    encrypted.refused(&format!("{sealed} sslmode=require"), &["no revocation list covers"]);
}
