//! Encrypted connections: which servers are accepted, and the messages of refusals, compared with psql.

mod asynchronous;
mod certificates;
mod clients;
mod downgrades;
mod old_recipes;
mod servers;

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::certificates::{Pem, write};
use crate::support::programs::{command, errors};
use crate::support::server::{Builder, Server};
use crate::support::wait_for;

const SECRET: &str = "s3cret-passw0rd";
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Returns whether the connection is encrypted.
const ENCRYPTED: &str = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";

/// A server that encrypts, and a folder with the clients' files.
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
        encrypted.reload();
        encrypted
    }

    /// Installs another certificate; the server uses it after a reload.
    fn use_certificate(&self, pem: &Pem) {
        self.server.write_file("server.crt", &pem.certificate);
        self.server.write_file("server.key", &pem.key);
    }

    fn set(&self, name: &str, value: &str) {
        let statement = format!("alter system set {name} = '{value}'");
        self.server.client("postgres").batch_execute(&statement).expect("a superuser may");
    }

    /// Loads certificates and settings; returns when new connections use them.
    fn reload(&self) {
        let loaded_at = || {
            let mut client = self.server.client("postgres");
            let row = client.query_one("select pg_conf_load_time()::text", &[]).expect("readable");
            row.get::<_, String>(0)
        };
        let before = loaded_at();
        self.server.client("postgres").batch_execute("select pg_reload_conf()").expect("a superuser may");
        wait_for("the settings to be loaded", || loaded_at() != before);
        let log = self.server.log();
        assert!(!log.contains("SSL configuration was not reloaded"), "{log}");
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
        let mut psql = self.server.client_program("psql");
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

    /// Fails unless programs and psql refuse, and our one line contains all of `expected`.
    #[track_caller]
    fn refused(&self, conninfo: &str, expected: &[&str]) {
        let psql = self.psql(conninfo);
        assert!(psql.is_err(), "{conninfo}: {psql:?}");
        self.refused_here(conninfo, expected);
    }

    /// Fails unless programs refuse, and their one line contains all of `expected`.
    #[track_caller]
    fn refused_here(&self, conninfo: &str, expected: &[&str]) {
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
