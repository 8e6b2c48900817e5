//! Encrypted connections: what is accepted, what is refused and how that is told. The oracle is psql.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::certificates::{Authority, Pem, self_signed, write};
use crate::support::programs::{Running, command, errors, succeed};
use crate::support::server::{Builder, Server};
use crate::support::tls_only::{Hello, TlsOnly};
use crate::support::wait_for;

const SECRET: &str = "s3cret-passw0rd";
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Tells whether the connection is encrypted.
const ENCRYPTED: &str = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";

/// A server that encrypts, and a folder with what clients have.
struct Encrypted {
    server: Server,
    folder: TempDir,
}

impl Encrypted {
    fn start(pem: &Pem, more: impl FnOnce(Builder) -> Builder) -> Encrypted {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server =
            more(Server::builder().listen_localhost()).start().unwrap_or_else(|error| panic!("{error}"));
        let mut client = server.client("postgres");
        let table = "create table seen (encrypted bool); create role sealed login superuser";
        client.batch_execute(table).expect("the table and the role are new");
        let encrypted = Encrypted { server, folder };
        encrypted.use_certificate(pem);
        encrypted.set("ssl", "on");
        encrypted.restart();
        encrypted
    }

    /// Takes another certificate; a restart makes it known.
    fn use_certificate(&self, pem: &Pem) {
        self.server.write_file("server.crt", &pem.certificate);
        self.server.write_file("server.key", &pem.key);
    }

    fn set(&self, name: &str, value: &str) {
        let statement = format!("alter system set {name} = '{value}'");
        self.server.client("postgres").batch_execute(&statement).expect("a superuser may");
    }

    fn restart(&self) {
        self.server.stop();
        self.server.start_again();
    }

    /// Writes a file for clients and returns its path.
    fn file(&self, name: &str, text: &str) -> String {
        write(self.folder.path(), name, text).display().to_string()
    }

    fn conninfo(&self, more: &str) -> String {
        format!("host=localhost port={} user=postgres dbname=postgres {more}", self.server.port())
    }

    /// Connects with a program, one round long.
    fn ours(&self, conninfo: &str) -> Output {
        let ini = format!(
            "[run_sql]\ndb = {conninfo}\nsql = insert into seen select ssl from pg_stat_ssl \
             where pid = pg_backend_pid()\nloop_delay = -1\n"
        );
        fs::write(self.folder.path().join("run.ini"), ini).expect("the folder is writable");
        self.server.client("postgres").batch_execute("truncate seen").expect("the table is there");
        let mut command = self.command("run_sql");
        command.arg("run.ini").output().expect("the program starts")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = command(name, self.folder.path());
        command.env("HOME", self.folder.path());
        command
    }

    /// Returns whether a program's connection was encrypted; an error when there was none.
    fn seen(&self, conninfo: &str) -> Result<bool, String> {
        let output = self.ours(conninfo);
        if !output.status.success() {
            return Err(errors(&output));
        }
        let rows = self.server.client("postgres").query("select encrypted from seen", &[]).expect("readable");
        assert_eq!(rows.len(), 1, "{conninfo}");
        Ok(rows[0].get(0))
    }

    fn psql(&self, conninfo: &str) -> Result<bool, String> {
        let mut psql = Command::new(self.server.bindir().join("psql"));
        let output = psql.env("HOME", self.folder.path()).args(["-XAtwc", ENCRYPTED, conninfo]).output();
        let output = output.expect("psql starts");
        match String::from_utf8_lossy(&output.stdout).trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(errors(&output)),
        }
    }

    /// Fails unless programs accept and encrypt as psql does.
    #[track_caller]
    fn compare(&self, conninfo: &str) -> Result<bool, String> {
        let (ours, psql) = (self.seen(conninfo), self.psql(conninfo));
        match (&ours, &psql) {
            (Ok(ours), Ok(psql)) => assert_eq!(ours, psql, "{conninfo}"),
            (Err(_), Err(_)) => {}
            _ => panic!("{conninfo}: {ours:?}, but psql: {psql:?}"),
        }
        ours
    }

    /// Fails unless programs and psql refuse, and the one line of ours holds all of `expected`.
    #[track_caller]
    fn refused(&self, conninfo: &str, expected: &[&str]) {
        let psql = self.psql(conninfo);
        assert!(psql.is_err(), "{conninfo}: {psql:?}");
        let output = self.ours(conninfo);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{conninfo}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in expected {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn every_mode_with_every_certificate_is_as_in_psql() {
    let authority = Authority::create("authority");
    let other = Authority::create("other authority");
    let certificates = [
        ("good", authority.issue(&["localhost", "127.0.0.1"], "localhost")),
        ("common name", authority.issue(&[], "localhost")),
        ("other common name", authority.issue(&[], "elsewhere")),
        ("other name", authority.issue(&["elsewhere"], "localhost")),
        ("address only", authority.issue(&["127.0.0.1"], "localhost")),
        ("expired", authority.issue_expired("localhost")),
        ("other authority", other.issue(&["localhost"], "localhost")),
        ("self-signed", self_signed("localhost")),
    ];
    let encrypted = Encrypted::start(&certificates[0].1, |builder| builder);
    let root = encrypted.file("authority.crt", &authority.pem.certificate);
    let both = encrypted.file("both.crt", &(authority.pem.certificate.clone() + &other.pem.certificate));
    let itself = encrypted.file("self.crt", &certificates[7].1.certificate);
    for (name, pem) in &certificates {
        encrypted.use_certificate(pem);
        encrypted.restart();
        for mode in MODES {
            for more in [
                "",
                &format!("sslrootcert={root}"),
                &format!("sslrootcert={both}"),
                &format!("sslrootcert={itself}"),
            ] {
                println!("{name}: {mode} {more}");
                let _ = encrypted.compare(&encrypted.conninfo(&format!("sslmode={mode} {more}")));
            }
        }
        for host in ["127.0.0.1", "elsewhere", "LocalHost"] {
            let conninfo =
                encrypted.conninfo(&format!("sslmode=verify-full sslrootcert={both} hostaddr=127.0.0.1"));
            println!("{name}: {host}");
            let _ = encrypted.compare(&conninfo.replace("host=localhost", &format!("host={host}")));
        }
    }
}

#[test]
fn a_server_that_insists_or_refuses_is_tried_in_the_other_way() {
    let authority = Authority::create("authority");
    let pem = authority.issue(&["localhost"], "localhost");
    let encrypted = Encrypted::start(&pem, |builder| {
        builder
            .hba("hostssl all sealed 127.0.0.1/32 trust")
            .hba("host all sealed 127.0.0.1/32 reject")
            .hba("hostnossl all open 127.0.0.1/32 trust")
            .hba("host all open 127.0.0.1/32 reject")
    });
    let mut client = encrypted.server.client("postgres");
    client.batch_execute("create role open login superuser").expect("the role is new");
    let root = encrypted.file("root.crt", &authority.pem.certificate);
    let unrelated = encrypted.file("unrelated.crt", &Authority::create("unrelated").pem.certificate);
    let mut seen = Vec::new();
    for ssl in ["on", "off"] {
        encrypted.set("ssl", ssl);
        encrypted.restart();
        for user in ["postgres", "sealed", "open"] {
            for mode in MODES {
                for root in [&root, &unrelated] {
                    let more = format!("sslmode={mode} sslrootcert={root}");
                    let conninfo =
                        encrypted.conninfo(&more).replace("user=postgres", &format!("user={user}"));
                    seen.push(encrypted.compare(&conninfo).ok());
                }
            }
        }
    }
    let count = |wanted| seen.iter().filter(|one| **one == wanted).count();
    assert_eq!([count(Some(true)), count(Some(false)), count(None)], [9, 23, 40]);
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
fn a_clients_certificate_opens_the_door() {
    let authority = Authority::create("authority");
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| {
        builder.hba("hostssl all sealed 127.0.0.1/32 cert").hba("host all sealed 127.0.0.1/32 reject")
    });
    encrypted.server.write_file("root.crt", &authority.pem.certificate);
    encrypted.set("ssl_ca_file", "root.crt");
    encrypted.restart();
    let pem = authority.issue(&[], "sealed");
    let cert = encrypted.file("client.crt", &pem.certificate);
    let key = encrypted.file("client.key", &pem.key);
    let conninfo = |more: &str| {
        encrypted.conninfo(&format!("sslmode=require {more}")).replace("user=postgres", "user=sealed")
    };
    let with = |key: &str| conninfo(&format!("sslcert={cert} sslkey={key}"));
    assert_eq!(encrypted.compare(&with(&key)), Ok(true));
    encrypted.refused(&conninfo(""), &["28000", "client certificate"]);
    encrypted.refused(&with("/no/such.key"), &["cannot use `/no/such.key`", "No such file"]);

    let folder = encrypted.folder.path();
    let encrypt = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", &format!("pass:{SECRET}")];
    let sealed = openssl(folder, &key, "encrypted.key", &encrypt);
    assert_eq!(encrypted.compare(&format!("{} sslpassword={SECRET}", with(&sealed))), Ok(true));
    encrypted.refused(
        &format!("{} sslpassword=not-{SECRET}", with(&sealed)),
        &["encrypted.key`", "sslpassword is wrong"],
    );
    assert!(
        encrypted.seen(&with(&sealed)).expect_err("no password").contains("it is encrypted: set sslpassword")
    );
    let old = openssl(folder, &key, "old.key", &["ec", "-aes256", "-passout", &format!("pass:{SECRET}")]);
    let error = encrypted.seen(&format!("{} sslpassword={SECRET}", with(&old))).expect_err("not supported");
    assert!(error.contains("openssl pkcs8 -topk8") && !error.contains(SECRET), "{error}");
    let sec1 = openssl(folder, &key, "sec1.key", &["ec"]);
    assert_eq!(encrypted.compare(&with(&sec1)), Ok(true));

    encrypted.refused(
        &with(&encrypted.file("other.key", &authority.issue(&[], "sealed").key)),
        &["sslcert and sslkey"],
    );
    let stranger = Authority::create("stranger").issue(&[], "sealed");
    let (cert, stranger) = (
        encrypted.file("stranger.crt", &stranger.certificate),
        encrypted.file("stranger.key", &stranger.key),
    );
    let stranger = format!("sslcert={cert} sslkey={stranger}");
    encrypted.refused(&conninfo(&stranger), &["client's certificate"]);
    let _ = encrypted.compare(&encrypted.conninfo(&format!("sslmode=prefer {stranger}")));
    let _ = encrypted
        .compare(&encrypted.conninfo(&format!("sslmode=prefer ssl_max_protocol_version=TLSv1.2 {stranger}")));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("the file is the test's");
    encrypted.refused(&with(&key), &["client.key`", "0600"]);
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
    let encrypted = Encrypted::start(&authority.issue(&["localhost"], "localhost"), |builder| {
        builder.hba("hostssl all sealed 127.0.0.1/32 cert").hba("host all sealed 127.0.0.1/32 reject")
    });
    encrypted.server.write_file("root.crt", &authority.pem.certificate);
    encrypted.set("ssl_ca_file", "root.crt");
    encrypted.restart();
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
    encrypted.refused(&format!("{sealed} sslmode=require"), &["the revocation list does not say"]);
}
