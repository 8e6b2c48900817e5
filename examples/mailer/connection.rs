//! A connection to a mail server, for code that waits for each answer.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::encryption::Encryption;
use crate::trouble::Trouble;
use crate::wire::{Wire, no_answer};

/// How long the server may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(2);

/// An open connection; `lettre` speaks over it.
pub(crate) struct Connection {
    smtp: AsyncSmtpConnection,
    is_encrypted: bool,
    runtime: Runtime,
}

impl Connection {
    /// Connects, and encrypts before anything else is said.
    ///
    /// # Errors
    ///
    /// Why that was not possible, in one line.
    pub(crate) fn open(
        host: &str,
        port: u16,
        encryption: &Encryption,
        hello: &ClientId,
        patience: Duration,
    ) -> Result<Connection, String> {
        let failed = |error: io::Error| dbscript::describe(&error);
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let (socket, peer) = connect(host, port, patience).map_err(failed)?;
        let opened = runtime.block_on(async {
            let socket = tokio::net::TcpStream::from_std(socket).map_err(failed)?;
            let applied = timeout(patience, encryption.apply(socket, hello)).await;
            let late = |_| no_answer(patience);
            let (stream, greeting) = applied.map_err(late)?.map_err(failed)?;
            let wire = Wire::new(stream, peer, greeting, patience);
            let is_encrypted = wire.is_encrypted();
            let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(wire), hello).await;
            Ok::<_, String>((smtp.map_err(|error| Trouble::told(&error))?, is_encrypted))
        });
        opened.map(|(smtp, is_encrypted)| Connection { smtp, is_encrypted, runtime })
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns whether the library has closed it, as after a refusal.
    pub(crate) fn has_broken(&self) -> bool {
        self.smtp.has_broken()
    }

    pub(crate) fn log_in(&mut self, login: &Credentials) -> Result<(), Error> {
        self.runtime.block_on(self.smtp.auth(DEFAULT_MECHANISMS, login)).map(|_| ())
    }

    pub(crate) fn send(&mut self, mail: &Message) -> Result<(), Error> {
        self.runtime.block_on(self.smtp.send(mail.envelope(), &mail.formatted())).map(|_| ())
    }

    /// Says goodbye, and waits a moment for the answer.
    pub(crate) fn quit(&mut self) -> Result<(), String> {
        let quit = self.smtp.quit();
        match self.runtime.block_on(async { timeout(FAREWELL, quit).await }) {
            Ok(answer) => answer.map(|_| ()).map_err(|error| error.to_string()),
            Err(_) => Err(no_answer(FAREWELL)),
        }
    }
}

/// Connects to the first of the host's addresses where that works.
fn connect(host: &str, port: u16, patience: Duration) -> io::Result<(TcpStream, std::net::SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok((socket, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
