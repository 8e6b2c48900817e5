//! The web service: requests that produce events, and the consumer inside.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use postgres::Client;

use crate::support::programs::{Running, command, errors};
use crate::support::server::{Server, free_port};
use crate::support::{Database, queues, shared, templates, wait_for};

const QUEUE: &str = "orders";

struct Service {
    process: Running,
    port: u16,
}

impl Service {
    fn start(address: &str) -> Service {
        let port = free_port();
        let mut command = command("web_service", std::env::temp_dir().as_path());
        let process = Running::start(command.args([&format!("127.0.0.1:{port}"), address]));
        let service = Service { process, port };
        wait_for("the service", || service.try_ask("GET", "/health", "").is_some());
        service
    }

    /// Returns the status and the body of an answer.
    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close");
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        self.try_ask(method, path, body).expect("an answer")
    }

    fn post(&self, item: &str) {
        assert_eq!(self.ask("POST", "/customers/kaiv/orders", item).0, "201");
    }

    fn is(&self, status: &str) -> bool {
        self.try_ask("GET", "/health", "").is_some_and(|(is, _)| is == status)
    }

    fn end(&mut self) {
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.wait(), Some(0));
    }
}

fn address(server: &Server, database: &str) -> String {
    let (folder, port) = (server.socket_dir().display(), server.port());
    format!("postgres:///{database}?host={folder}&port={port}&user=postgres")
}

fn started() -> (Service, Database, Client) {
    let (database, client) = templates::prepared("web");
    (Service::start(&address(shared(), database.name())), database, client)
}

/// Makes a tick due, which the service's ticker makes.
fn tick(client: &mut Client) {
    client.execute("select pgq.force_tick($1)", &[&QUEUE]).expect("forced");
}

/// Returns the items that were shipped, in the order of their shipment.
fn shipped(client: &mut Client) -> Vec<String> {
    let rows = client.query("select item from shipments order by ctid", &[]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn orders_are_shipped_once_and_bad_ones_are_listed() {
    let (mut service, _database, mut client) = started();
    ["boots", "gloves", "hat"].iter().for_each(|item| service.post(item));
    let bad = pgq::insert_event(&mut client, QUEUE, "unheard", "of").expect("inserted");
    tick(&mut client);
    wait_for("the shipments", || shipped(&mut client) == ["boots", "gloves", "hat"]);
    assert!(service.is("200"));
    assert_eq!(service.ask("GET", "/nosuch", "").0, "404");
    let mut failed = String::new();
    wait_for("the failed event", || {
        client.execute("select pgq.maint_retry_events()", &[]).expect("maintained");
        tick(&mut client);
        failed = service.ask("GET", "/failed", "").1;
        failed != "[]"
    });
    assert!(failed.contains(&format!("\"id\":{bad},")) && failed.contains("`unheard`"), "{failed}");
    service.end();
    assert_eq!(shipped(&mut client).len(), 3);
}

#[test]
fn an_order_in_progress_is_shipped_at_shutdown_and_later_ones_after_a_restart() {
    let (mut service, database, mut client) = started();
    let mut locking = database.client();
    let mut lock = locking.transaction().expect("begun");
    lock.batch_execute("lock table shipments").expect("locked");
    service.post("boots");
    tick(&mut client);
    wait_for("a shipment that waits", || {
        let waits =
            "select exists (select from pg_locks where relation = 'shipments'::regclass and not granted)";
        client.query_one(waits, &[]).expect("readable").get(0)
    });
    service.post("gloves");
    service.process.signal(Signal::SIGTERM);
    wait_for("no more requests", || service.try_ask("GET", "/health", "").is_none());
    lock.commit().expect("committed");
    assert_eq!(service.process.wait(), Some(0));
    assert_eq!(shipped(&mut client)[0], "boots");

    tick(&mut client);
    let mut service = Service::start(&address(shared(), database.name()));
    wait_for("the shipment", || shipped(&mut client) == ["boots", "gloves"]);
    service.end();
}

#[test]
fn an_invalid_database_is_reported_at_once() {
    let mut command = command("web_service", std::env::temp_dir().as_path());
    let output = command.args(["127.0.0.1:0", &address(shared(), "nosuch")]).output().expect("starts");
    let line = errors(&output);
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
    assert!(line.contains("\"nosuch\" does not exist"), "{line}");
}

#[test]
fn an_unavailable_database_is_shown() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    queues::install(&mut server.client("postgres"));
    let service = Service::start(&address(&server, "postgres"));
    service.post("boots");
    wait_for("the consumer", || shipped(&mut server.client("postgres")) == ["boots"]);
    assert!(service.is("200"));
    server.stop();
    wait_for("the news", || service.is("503"));
    server.start_again();
    wait_for("the service again", || service.is("200"));
}

#[test]
fn the_service_ends_although_a_client_sends_nothing() {
    let (mut service, _database, _client) = started();
    let _silent = TcpStream::connect(("127.0.0.1", service.port)).expect("it listens");
    service.end();
}
