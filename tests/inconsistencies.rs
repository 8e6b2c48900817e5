//! Databases that were restored, moved or failed over, or whose clock was put back: named, not trusted, repaired.

mod clock;
mod far_behind;
mod many_positions;
mod others;
mod sequences;
mod transactions;

use std::fs;
use std::process::Command;
use std::time::Duration;

use pgq::schema::Kind;
use pgq::{Ticker, TickerHandle};
use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::{command_on, errors};
use crate::support::server::Server;
use crate::support::{Database, queues, templates};

const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// A database with the queue `q` and the consumer `a`, and a folder with a file of `pgqadm` for it.
struct Place {
    kind: Kind,
    client: Client,
    folder: TempDir,
    server: &'static Server,
    database: Database,
}

impl Place {
    fn create(kind: Kind) -> Place {
        let (database, mut client) = templates::installed(kind, "moved");
        queues::create(&mut client, "q");
        pgq::admin::register_consumer(&mut client, "q", "a").expect("registered");
        let folder = folder(&database.conninfo());
        Place { kind, client, folder, server: database.server(), database }
    }

    fn each() -> impl Iterator<Item = Place> {
        KINDS.into_iter().map(Place::create)
    }

    /// Runs `pgqadm`; returns its exit status and all that it has written.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        run(&mut pgqadm(self.server, &self.folder, arguments))
    }

    #[track_caller]
    fn says(&self, arguments: &[&str], status: i32, texts: &[&str]) -> String {
        let (code, said) = self.run(arguments);
        assert_eq!(code, Some(status), "{arguments:?} on {}: {said}", self.kind);
        for text in texts {
            assert!(said.contains(text), "{arguments:?} on {}: `{text}` is not in {said}", self.kind);
        }
        said
    }

    fn batch(&mut self, statements: &str) {
        self.client.batch_execute(statements).expect(statements);
    }

    #[track_caller]
    fn number(&mut self, query: &str) -> i64 {
        self.client.query_one(&format!("select ({query})::int8"), &[]).expect(query).get(0)
    }

    fn ticker(&self) -> TickerHandle {
        let ticker = Ticker::new(&self.database.conninfo()).loop_delay(Duration::from_millis(20));
        ticker.spawn().expect("up")
    }

    /// Takes all batches of a consumer and returns the events' data.
    fn consume(&mut self, consumer: &str) -> Vec<String> {
        consume(&mut self.client, consumer)
    }
}

fn stop(ticker: TickerHandle) {
    ticker.stop();
    ticker.join().expect("stopped");
}

fn folder(conninfo: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[pgqadm]\ndb = {conninfo}\n");
    fs::write(folder.path().join("adm.ini"), ini).expect("writable");
    folder
}

fn pgqadm(server: &Server, folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = command_on(server, "pgqadm", folder.path());
    command.arg("adm.ini").args(arguments);
    command
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    (output.status.code(), said)
}

/// Takes all batches of the consumer of queue `q` that there are and returns the events' data, in their order.
fn consume(client: &mut Client, consumer: &str) -> Vec<String> {
    let mut data = Vec::new();
    loop {
        let next = client.query_one("select pgq.next_batch('q', $1)", &[&consumer]).expect("answers");
        let Some(batch) = next.get::<_, Option<i64>>(0) else { return data };
        let rows = client.query("select ev_data from pgq.get_batch_events($1)", &[&batch]);
        data.extend(rows.expect("readable").iter().map(|row| row.get::<_, String>(0)));
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
    }
}

/// Inserts an event in a transaction of its own.
fn insert(client: &mut Client, data: &str) {
    client.execute("select pgq.insert_event('q', 't', $1)", &[&data]).expect("inserted");
}
