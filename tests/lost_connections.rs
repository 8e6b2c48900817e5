//! Connections that break without a close, and files that they need and that are missing.

mod drops;
mod files;
mod greeting;
mod handles;
mod idle;
mod local;
mod silence;

use std::fs;
use std::path::Path;
use std::process::Command;

use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::command;
use crate::support::server::Server;
use crate::support::{Database, queues, wait_for};

const QUEUE: &str = "q";

/// A greeter in a folder of its own, with its log in `log`.
struct Greeter {
    folder: TempDir,
}

impl Greeter {
    /// Describes one by its connection string and more lines of its file.
    fn new(conninfo: &str, more: &str) -> Greeter {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!("[greeter]\ndb = {conninfo}\nqueue_name = {QUEUE}\nlogfile = log\n{more}");
        fs::write(folder.path().join("x.ini"), ini).expect("the folder is writable");
        Greeter { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let mut command = command("greeter", self.path());
        command.env("HOME", self.path()).env("PGQ_TEST_TIMEOUTS", "short").args(["-v", "x.ini"]);
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// Returns how many lines of the log hold a text.
    fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_for(text, || self.count(text) > 0);
    }
}

/// Creates a database with a queue and the greeter's table.
fn prepare(client: &mut Client) {
    queues::install(client);
    queues::create(client, QUEUE);
    client.batch_execute("create table greeting (name text)").expect("the table is new");
}

/// Makes such a database on a server.
fn database(server: &Server, name: &str) -> Client {
    server.create_database(name);
    let mut client = server.client(name);
    prepare(&mut client);
    client
}

/// Inserts an event, ticks, and notifies the listeners, as this project's ticker does.
fn send(client: &mut Client, number: i64) {
    queues::insert(client, QUEUE, number, 1);
    queues::tick(client, QUEUE);
    let channel: Option<String> = client
        .query_one("select min(substring(query from 'listen \"(.*)\"')) from pg_stat_activity where query like 'listen%'", &[])
        .expect("readable")
        .get(0);
    if let Some(channel) = channel {
        client.execute("select pg_notify($1, '')", &[&channel]).expect("sent");
    }
}

/// The processes of two of a sleeping greeter's sessions.
struct Sessions {
    kept: i32,
    listening: i32,
}

/// Waits until the greeter of a database sleeps: its sessions are out of transactions, and have been for longer than
/// there is between two statements of a round.
#[track_caller]
fn wait_for_sleep(client: &mut Client) -> Sessions {
    let sql = "select pid, query like 'listen%' or query = '' from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid() and state = 'idle' \
               and clock_timestamp() > state_change + interval '1 second' order by 2";
    let mut found = Vec::new();
    wait_for("the greeter's sleep", || {
        found = client.query(sql, &[]).expect("readable");
        found.len() >= 2 && found[found.len() - 1].get(1)
    });
    Sessions { kept: found[0].get(0), listening: found[found.len() - 1].get(0) }
}

fn greeted(client: &mut Client) -> i64 {
    client.query_one("select count(*) from greeting", &[]).expect("readable").get(0)
}
