//! The HTTP service: requests that produce events, and the consumer inside.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::support::programs::{Running, command, errors};
use crate::support::server::{Server, free_port};
use crate::support::{Database, queues, templates, wait_for};

struct Service {
    database: Database,
    process: Running,
    port: u16,
}

impl Service {
    fn start() -> Service {
        let (database, _) = templates::prepared("web");
        let port = free_port();
        let mut command = command("web_service", std::env::temp_dir().as_path());
        command.args([format!("127.0.0.1:{port}"), database.conninfo()]);
        let service = Service { process: Running::start(&mut command), database, port };
        wait_for("the service", || ask(port, "GET", "/healthz", "").is_some());
        service
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        ask(self.port, method, path, body).expect("an answer")
    }
}

/// Returns the status and the body.
fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
}

#[test]
fn a_request_makes_an_account_and_its_event_is_consumed_once() {
    let mut service = Service::start();
    assert_eq!(service.ask("POST", "/accounts", "kristo").0, "201");
    assert_eq!(
        service.ask("POST", "/accounts", "kristo").0,
        "409",
        "neither the account nor the event again"
    );
    assert_eq!(service.ask("POST", "/accounts", "kaiv").0, "201");
    assert_eq!(service.ask("POST", "/accounts", &"x".repeat(2000)).0, "400");
    assert_eq!(service.ask("GET", "/nosuch", "").0, "404");

    let mut client = service.database.client();
    let mut welcomed = || -> Vec<String> {
        let rows = client.query("select name from welcome order by name", &[]).expect("readable");
        rows.iter().map(|row| row.get(0)).collect()
    };
    wait_for("the welcomes", || welcomed().len() >= 2);
    assert_eq!(welcomed(), ["kaiv", "kristo"]);
    wait_for("the figures", || service.ask("GET", "/healthz", "").1.contains("\"events\": 2"));

    service.process.signal(Signal::SIGTERM);
    assert_eq!(service.process.wait(), Some(0));
    assert_eq!(welcomed(), ["kaiv", "kristo"]);
}

#[test]
fn an_invalid_database_name_is_reported_at_once() {
    let mut command = command("web_service", std::env::temp_dir().as_path());
    let output = command.args(["127.0.0.1:0", "dbname=queries"]).output().expect("starts");
    let line = errors(&output);
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
    assert!(line.contains("host and hostaddr are missing") && !line.contains("timed out"), "{line}");
}

#[test]
fn an_unavailable_database_is_shown() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    queues::install(&mut server.client("postgres"));
    let port = free_port();
    let mut command = command("web_service", std::env::temp_dir().as_path());
    command.args([format!("127.0.0.1:{port}"), server.conninfo("postgres"), "3".to_owned()]);
    let _process = Running::start(&mut command);
    let is = |status: &str| ask(port, "GET", "/healthz", "").is_some_and(|(is, _)| is == status);
    wait_for("the service", || is("200"));
    server.stop();
    wait_for("the news", || is("503"));
    server.start_again();
    wait_for("the service again", || is("200"));
}

#[test]
fn the_service_ends_although_a_client_sends_nothing() {
    let mut service = Service::start();
    let _silent = TcpStream::connect(("127.0.0.1", service.port)).expect("it listens");
    service.process.signal(Signal::SIGINT);
    assert_eq!(service.process.wait(), Some(0));
}
