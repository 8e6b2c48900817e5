//! The spans that arrive at a collector.

#[path = "../../../tests/support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::server::Server;

const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// Starts a collector; returns its address and the spans that arrive.
fn collector() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it listens"));
    let (sender, spans) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || receive(&stream.expect("a connection"), &sender));
        }
    });
    (address, spans)
}

/// Answers one request of an exporter.
fn receive(stream: &TcpStream, sender: &Sender<Value>) {
    let mut reader = BufReader::new(stream);
    let head: Vec<String> =
        reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    assert!(head[0].starts_with("POST /v1/traces "), "{head:?}");
    let length =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    write!(&mut &*stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}")
        .expect("answered");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    for resource in body["resourceSpans"].as_array().into_iter().flatten() {
        for scope in resource["scopeSpans"].as_array().into_iter().flatten() {
            scope["spans"].as_array().into_iter().flatten().for_each(|span| drop(sender.send(span.clone())));
        }
    }
}

fn start(conninfo: &str, endpoint: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_traced_service"))
        .arg(conninfo)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .stdin(Stdio::piped())
        .spawn()
        .expect("started")
}

/// Waits for the spans of these names.
fn wait_for<const N: usize>(spans: &Receiver<Value>, names: [&str; N]) -> [Value; N] {
    let mut found = [const { None }; N];
    while found.iter().any(Option::is_none) {
        let span = spans.recv_timeout(WAIT_LIMIT).unwrap_or_else(|_| panic!("missing: {names:?}, {found:?}"));
        if let Some(place) = names.iter().position(|name| span["name"] == *name) {
            found[place] = Some(span);
        }
    }
    found.map(Option::unwrap_or_default)
}

/// Checks that a span is the child of another one in the same trace.
fn check_child(child: &Value, parent: &Value) {
    assert_eq!((&child["parentSpanId"], &child["traceId"]), (&parent["spanId"], &parent["traceId"]));
}

#[test]
fn a_trace_goes_from_the_request_to_the_handler() {
    const NAMES: [&str; 4] = ["accept order", "process orders", "ship", "batch orders"];
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let (endpoint, spans) = collector();
    let mut service = start(&server.conninfo("postgres"), &endpoint);
    let mut requests = service.stdin.take().expect("is piped");
    requests.write_all(b"a book\n").expect("written");
    let [request, event, shipping, batch] = wait_for(&spans, NAMES);
    check_child(&event, &request);
    check_child(&shipping, &event);
    assert_eq!(event["links"][0]["spanId"], batch["spanId"]);
    assert!(event["status"]["code"].as_u64().unwrap_or_default() == 0, "{event}");

    requests.write_all(b"\n").expect("written");
    let [request, event, ..] = wait_for(&spans, NAMES);
    check_child(&event, &request);
    assert_eq!(event["status"]["message"], "nothing to ship");
    assert_eq!(event["events"][0]["name"], "exception");
    drop(requests);
    assert_eq!(service.wait().expect("ended").code(), Some(0));
}
