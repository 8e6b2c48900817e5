//! Many clients of `metrics_listen` that send requests and do not read, or never end a request.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::programs::Scene;
use super::*;
use crate::support::programs::Running;
use crate::support::server::free_port;
use crate::support::wait_for;

struct Ticker {
    scene: Scene,
    port: u16,
    _running: Running,
}

impl Ticker {
    /// Starts a ticker of a database whose metrics are more than sockets take by themselves.
    fn start() -> Ticker {
        let mut scene = Scene::create(Kind::Own);
        queues::create(&mut scene.client, "queue");
        scene
            .client
            .batch_execute(
                "insert into pgq.consumer (co_name) select repeat('x', 200) || n from generate_series(1, 2000) n; \
                 insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) \
                 select queue_id, co_id, 1 from pgq.queue, pgq.consumer",
            )
            .expect("registered");
        let port = free_port();
        scene.write_ini(&format!("metrics_listen = 127.0.0.1:{port}\nlogfile = job.log\n"));
        let running = Running::start(&mut scene.pgqadm(&["ticker"]));
        let ticker = Ticker { scene, port, _running: running };
        wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        ticker.expect_answers();
        ticker
    }

    fn send(&self, request: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        client.write_all(request).expect("sent");
        client
    }

    fn get(&self, path: &str) -> String {
        let client = self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        client.shutdown(Shutdown::Write).expect("open");
        received(client)
    }

    #[track_caller]
    fn expect_answers(&self) {
        let live = self.get("/live");
        assert!(live.starts_with("HTTP/1.1 200 OK\r\n"), "{live}");
        wait_for("a round", || self.get("/ready").starts_with("HTTP/1.1 200 OK\r\n"));
        // A busy machine may not render them within the time that a client has.
        wait_for("all metrics", || {
            let metrics = self.get("/metrics");
            metrics.len() > 1_000_000 && metrics.ends_with('\n')
        });
    }
}

fn received(mut client: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends an answer too.
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Connects with a tiny receive buffer, requests metrics, and does not read them.
fn not_reading(port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connected = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(1024)?;
        socket.connect(([127, 0, 0, 1], port).into()).await?.into_std()
    });
    let mut client = connected.expect("it listens");
    client.set_nonblocking(false).expect("set");
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    client
}

/// Returns whether the server has cut a client off, which sees that only when it sends something.
fn is_cut_off(client: &mut TcpStream) -> bool {
    client.write_all(b"x").is_err()
}

#[test]
fn clients_that_do_not_read_do_not_block_other_clients() {
    let ticker = Ticker::start();
    let mut clients: Vec<TcpStream> = (0..300).map(|_| not_reading(ticker.port)).collect();
    ticker.expect_answers();
    // None of them stays for ever.
    for client in &mut clients {
        wait_for("an end", || is_cut_off(client));
    }
    let log = std::fs::read_to_string(ticker.scene.folder.path().join("job.log")).unwrap_or_default();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn endless_requests_do_not_block_other_clients() {
    let ticker = Ticker::start();
    let endless_head = "X-Header: x\r\n".repeat(20);
    let requests = [
        format!("GET /metrics HTTP/1.1\r\n{endless_head}"),
        "G".to_owned(),
        "POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbody".to_owned(),
        "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100),
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100),
    ];
    let clients: Vec<TcpStream> =
        (0..300).map(|n| ticker.send(requests[n % requests.len()].as_bytes())).collect();
    ticker.expect_answers();
    for mut client in clients {
        // One byte after the other, until the server has had enough.
        wait_for("an end", || is_cut_off(&mut client));
    }
    ticker.expect_answers();
}
