//! Blocking connections to a mail server.

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
use crate::limited_stream::{LimitedStream, no_answer};
use crate::send_error::SendError;

/// The time-out of QUIT.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// An open connection, over which `lettre` speaks SMTP.
pub(crate) struct Connection {
    smtp: AsyncSmtpConnection,
    is_encrypted: bool,
    runtime: Runtime,
}

impl Connection {
    /// Connects, encrypts the connection if required, and sends EHLO.
    ///
    /// # Errors
    ///
    /// The reason of the failure in one line.
    pub(crate) fn open(
        host: &str,
        port: u16,
        encryption: &Encryption,
        hello: &ClientId,
        answer_timeout: Duration,
    ) -> Result<Connection, String> {
        let failed = |error: io::Error| dbscript::describe(&error);
        let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let (socket, peer) = connect(host, port, answer_timeout).map_err(failed)?;
        let opened = runtime.block_on(async {
            let socket = tokio::net::TcpStream::from_std(socket).map_err(failed)?;
            let applied = timeout(answer_timeout, encryption.apply(socket, hello)).await;
            let timed_out = |_| no_answer(answer_timeout);
            let (stream, greeting) = applied.map_err(timed_out)?.map_err(failed)?;
            let stream = LimitedStream::new(stream, peer, greeting, answer_timeout);
            let is_encrypted = stream.is_encrypted();
            let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await;
            Ok::<_, String>((smtp.map_err(|error| SendError::reason_of(&error))?, is_encrypted))
        });
        opened.map(|(smtp, is_encrypted)| Connection { smtp, is_encrypted, runtime })
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns whether `lettre` has closed the connection, for example after a refusal.
    pub(crate) fn has_broken(&self) -> bool {
        self.smtp.has_broken()
    }

    pub(crate) fn log_in(&mut self, login: &Credentials) -> Result<(), Error> {
        self.runtime.block_on(self.smtp.auth(DEFAULT_MECHANISMS, login)).map(|_| ())
    }

    pub(crate) fn send(&mut self, mail: &Message) -> Result<(), Error> {
        self.runtime.block_on(self.smtp.send(mail.envelope(), &mail.formatted())).map(|_| ())
    }

    /// Sends QUIT and waits up to 2 seconds for the answer.
    pub(crate) fn quit(&mut self) -> Result<(), String> {
        let quit = self.smtp.quit();
        match self.runtime.block_on(async { timeout(QUIT_TIMEOUT, quit).await }) {
            Ok(answer) => answer.map(|_| ()).map_err(|error| error.to_string()),
            Err(_) => Err(no_answer(QUIT_TIMEOUT)),
        }
    }
}

/// Connects to the first address of the host that accepts the connection.
fn connect(host: &str, port: u16, answer_timeout: Duration) -> io::Result<(TcpStream, std::net::SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, answer_timeout) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok((socket, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
