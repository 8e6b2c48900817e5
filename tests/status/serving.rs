//! A ticker with `metrics_listen`, and requests to it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use pgq::schema::Kind;

use super::programs::Scene;
use crate::support::programs::Running;
use crate::support::server::free_port;
use crate::support::wait_for;

/// A ticker that serves metrics.
pub(super) struct Ticker {
    pub(super) scene: Scene,
    pub(super) port: u16,
    pub(super) running: Running,
}

impl Ticker {
    pub(super) fn start(kind: Kind, lines: &str) -> Ticker {
        Ticker::start_in(Scene::create(kind), lines)
    }

    pub(super) fn start_in(scene: Scene, lines: &str) -> Ticker {
        let port = free_port();
        scene.write_ini(&format!(
            "metrics_listen = 127.0.0.1:{port}\npidfile = job.pid\nlogfile = job.log\n{lines}"
        ));
        let running = Running::start(&mut scene.pgqadm(&["ticker"]));
        wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let ticker = Ticker { scene, port, running };
        wait_for("a round", || ticker.get("/ready").0 == "HTTP/1.1 200 OK");
        ticker
    }

    /// Starts a ticker with a whole file, to which the address is added. Its databases need not be there.
    pub(super) fn start_unready(scene: Scene, ini: &str) -> Ticker {
        let port = free_port();
        let ini = format!("{ini}metrics_listen = 127.0.0.1:{port}\nexception_sleep = 0.1\n");
        std::fs::write(scene.folder.path().join("job.ini"), ini).expect("writable");
        let running = Running::start(&mut scene.pgqadm(&["ticker"]));
        wait_for("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Ticker { scene, port, running }
    }

    /// Writes other lines, and has the ticker read them.
    pub(super) fn reload(&self, lines: &str) {
        self.scene.write_ini(&format!("pidfile = job.pid\nlogfile = job.log\n{lines}"));
        self.running.signal(Signal::SIGHUP);
    }

    /// Ends the ticker.
    pub(super) fn stop(&mut self) {
        self.running.signal(Signal::SIGINT);
        assert_eq!(self.running.wait(), Some(0));
    }

    /// Starts the ticker after [`Ticker::stop`].
    pub(super) fn start_again(&mut self) {
        self.running = Running::start(&mut self.scene.pgqadm(&["ticker"]));
    }

    pub(super) fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        client
    }

    /// Sends any bytes, and returns the whole answer.
    pub(super) fn send(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        // The server may have enough before all is sent.
        let _ = client.write_all(request);
        let _ = client.shutdown(Shutdown::Write);
        received(client)
    }

    /// Returns the status line and the body.
    pub(super) fn get(&self, path: &str) -> (String, String) {
        let answer = self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }
}

pub(super) fn received(mut client: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends an answer too.
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
