//! A proxy between clients and a server that loses connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::support::server::Server;

/// A proxy on a port of its own, for as long as the test's process lives.
pub(super) struct Relay {
    port: u16,
    lines: Lines,
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// One connection.
struct Line {
    /// Kept open towards the client.
    _client: TcpStream,
    server: UnixStream,
    lost: bool,
}

impl Relay {
    pub(super) fn start(server: &Server) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let lines = Lines::default();
        let known = lines.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                join(client, &socket, &known);
            }
        });
        Relay { port, lines }
    }

    pub(super) fn conninfo(&self, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={dbname}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns how many connections there have been.
    pub(super) fn count(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Closes all connections to the server, and leaves those to the clients open.
    pub(super) fn lose_server(&self) {
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            line.lost = true;
            // One that has ended is lost already.
            let _ = line.server.shutdown(Shutdown::Both);
        }
    }
}

/// Forwards the bytes of both sides; bytes from a client whose server is lost are discarded.
fn join(client: TcpStream, socket: &PathBuf, lines: &Lines) {
    let Ok(server) = UnixStream::connect(socket) else { return };
    let mut list = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let number = list.len();
    let copy = (client.try_clone().expect("a file"), server.try_clone().expect("a file"));
    list.push(Line { _client: copy.0, server: copy.1, lost: false });
    drop(list);
    let (mut up, mut down) =
        ((client.try_clone().expect("a file"), server.try_clone().expect("a file")), (server, client));
    let known = lines.clone();
    let is_lost = move || known.lock().unwrap_or_else(PoisonError::into_inner)[number].lost;
    let lost = is_lost.clone();
    thread::spawn(move || {
        carry(&mut up.0, &mut up.1, &lost);
        let _ = up.1.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        carry(&mut down.0, &mut down.1, &is_lost);
        if !is_lost() {
            let _ = down.1.shutdown(Shutdown::Both);
        }
    });
}

fn carry(from: &mut impl Read, to: &mut impl Write, is_lost: &impl Fn() -> bool) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..length]).is_err() && !is_lost() {
            return;
        }
    }
}
