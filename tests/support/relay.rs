//! A proxy between clients and a server that loses connections, or stops carrying bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::server::Server;

/// A proxy on a port of its own, for as long as the test's process lives.
pub(crate) struct Relay {
    port: u16,
    lines: Lines,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    list: Vec<Line>,
    /// The number of connections at the moment since which no connection carries anything.
    silent_since: Option<usize>,
    /// Whether a client has sent something since then, so that it waits.
    awaited: bool,
}

/// One connection.
struct Line {
    /// Kept open towards the client.
    _client: TcpStream,
    server: UnixStream,
    lost: bool,
    /// Whether the client has not closed it.
    open: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn carries(&self, number: usize) -> bool {
        self.silent_since.is_none() && !self.list[number].lost
    }
}

impl Relay {
    pub(crate) fn start(server: &Server) -> Relay {
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

    pub(crate) fn conninfo(&self, dbname: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={dbname}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns how many connections there have been.
    pub(crate) fn count(&self) -> usize {
        self.lines.lock().list.len()
    }

    /// Closes all connections to the server, and leaves those to the clients open.
    pub(crate) fn lose_server(&self) {
        for line in &mut self.lines.lock().list {
            line.lost = true;
            // One that has ended is lost already.
            let _ = line.server.shutdown(Shutdown::Both);
        }
    }

    /// Discards the bytes of all connections from now on, new connections included, and closes none.
    pub(crate) fn fall_silent(&self) {
        let mut state = self.lines.lock();
        state.silent_since = Some(state.list.len());
    }

    /// Returns whether a client has sent something since [`fall_silent`](Relay::fall_silent).
    pub(crate) fn is_awaited(&self) -> bool {
        self.lines.lock().awaited
    }

    /// Returns how many connections from before [`fall_silent`](Relay::fall_silent) are open.
    pub(crate) fn open(&self) -> usize {
        let state = self.lines.lock();
        let count = state.silent_since.unwrap_or(state.list.len());
        state.list[..count].iter().filter(|line| line.open).count()
    }
}

/// Forwards the bytes of both sides; bytes of a connection that is lost or silent are discarded.
fn join(client: TcpStream, socket: &PathBuf, lines: &Lines) {
    let Ok(server) = UnixStream::connect(socket) else { return };
    let mut state = lines.lock();
    let number = state.list.len();
    let copy = (client.try_clone().expect("a file"), server.try_clone().expect("a file"));
    state.list.push(Line { _client: copy.0, server: copy.1, lost: false, open: true });
    drop(state);
    let (mut up, mut down) =
        ((client.try_clone().expect("a file"), server.try_clone().expect("a file")), (server, client));
    let (upward, downward) = (lines.clone(), lines.clone());
    thread::spawn(move || {
        carry(&mut up.0, &mut up.1, || {
            let mut state = upward.lock();
            let is_carried = state.carries(number);
            state.awaited |= state.silent_since.is_some();
            is_carried
        });
        upward.lock().list[number].open = false;
        let _ = up.1.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let is_carried = || downward.lock().carries(number);
        carry(&mut down.0, &mut down.1, is_carried);
        if is_carried() {
            let _ = down.1.shutdown(Shutdown::Both);
        }
    });
}

fn carry(from: &mut impl Read, to: &mut impl Write, is_carried: impl Fn() -> bool) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if is_carried() && to.write_all(&chunk[..length]).is_err() && is_carried() {
            return;
        }
    }
}
