//! `pgqadm` as an administrator runs it, on both kinds of PgQ.

mod commands;
mod concurrent;
mod config;
mod consumers;
mod contrib;
mod delayed;
mod failed;
mod groups;
mod queues;
mod replay;
mod schedules;
mod terminal;
mod without_file;

use std::fs;
use std::path::Path;
use std::process::Command;

use pgq::schema::Kind;
use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::{command, errors};
use crate::support::{Database, templates, unique};

/// Both kinds of PgQ.
const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// A database with PgQ, and a folder with a file for it.
struct Place {
    database: Database,
    client: Client,
    folder: TempDir,
}

/// How a program has ended.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Runs a program to its end.
    fn by(program: &mut Command) -> Said {
        let output = program.output().expect("the program starts");
        Said {
            status: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).expect("text"),
            err: errors(&output),
        }
    }

    /// Expects a failure with one line, which holds a text.
    #[track_caller]
    fn refused(&self, status: i32, text: &str) {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(self.err.contains(text), "`{text}` is not in {self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        assert_eq!(self.out, "");
    }
}

impl Place {
    fn create(kind: Kind) -> Place {
        let (database, client) = templates::installed(kind, "admin");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = Place { database, client, folder };
        place.write_ini(&place.database.conninfo());
        place
    }

    /// Makes a place for each kind.
    fn each() -> impl Iterator<Item = Place> {
        KINDS.into_iter().map(Place::create)
    }

    fn write_ini(&self, conninfo: &str) {
        fs::write(self.path().join("adm.ini"), format!("[pgqadm]\ndb = {conninfo}\n")).expect("writable");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the program connect as a role with only the rights of `roles`, until the value is dropped.
    fn as_role(&self, roles: &str) -> Role {
        let name = format!("admin_{}", unique());
        let mut client = self.database.client();
        client.batch_execute(&format!("create role {name} login {roles}")).expect("created");
        self.write_ini(&self.database.conninfo().replace("user=postgres", &format!("user={name}")));
        Role { name, client }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command("pgqadm", self.path());
        command.arg("adm.ini").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::by(&mut self.command(arguments))
    }

    /// Runs a command that succeeds; returns its output, then its log.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let said = self.run(arguments);
        assert_eq!(said.status, Some(0), "{arguments:?}: {said:?}");
        (said.out, said.err)
    }

    /// Runs a command that fails with one line, which holds a text.
    #[track_caller]
    fn refused(&self, arguments: &[&str], status: i32, text: &str) {
        self.run(arguments).refused(status, text);
    }

    /// Returns the only value of a query, as text.
    #[track_caller]
    fn value(&mut self, query: &str) -> String {
        let row = self.client.query_one(&format!("select ({query})::text"), &[]).expect(query);
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }
}

/// A role of a test.
struct Role {
    name: String,
    client: Client,
}

impl Drop for Role {
    fn drop(&mut self) {
        // Anything that remains is removed with the server.
        let _ = self.client.batch_execute(&format!("drop owned by {0}; drop role {0}", self.name));
    }
}
