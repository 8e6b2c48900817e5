//! The HTTP service: requests that produce events, and the consumer inside.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::support::programs::{Running, command};
use crate::support::server::free_port;
use crate::support::{Database, queues, wait_for};

struct Service {
    database: Database,
    process: Running,
    port: u16,
}

impl Service {
    fn start() -> Service {
        let database = Database::create("web");
        queues::install(&mut database.client());
        let port = free_port();
        let mut command = command("web_service", std::env::temp_dir().as_path());
        command.args([format!("127.0.0.1:{port}"), database.conninfo()]);
        let service = Service { process: Running::start(&mut command), database, port };
        wait_for("the service", || service.try_ask("GET", "/healthz", "").is_some());
        service
    }

    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Returns the status and the body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let answer = self.try_ask(method, path, body).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).expect("a status").to_owned(), body.to_owned())
    }
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
fn the_service_ends_although_a_client_says_nothing() {
    let mut service = Service::start();
    let _silent = TcpStream::connect(("127.0.0.1", service.port)).expect("it listens");
    service.process.signal(Signal::SIGINT);
    assert_eq!(service.process.wait(), Some(0));
}
