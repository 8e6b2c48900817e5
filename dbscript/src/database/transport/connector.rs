//! Opens streams for the driver.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use postgres::Socket;
use postgres::config::{SslMode, SslNegotiation};
use postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep_until, timeout_at};
use tokio_postgres::Config;

use super::stream::{Deadline, Inner, Stream};
use super::{AbortHandle, LocalSocket};
use crate::database::tls::Encryption;
use crate::error::BoxError;
use crate::error::tls_failure::TlsFailure;

/// PostgreSQL's message that requests encryption: its length, and a number in place of a protocol version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The protection of a connection's data.
#[derive(Clone)]
pub(crate) enum Protection {
    Plain,
    /// Plain, over a local socket in place of the connection that the driver has opened.
    Local(LocalSocket),
    /// Encrypted, or plain if the server does not offer encryption.
    Offered(Encryption),
    Encrypted(Encryption),
    /// Encrypted from the first byte on, without a request.
    Direct(Encryption),
}

/// The side that closes a connection first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ClosingSide {
    #[default]
    Client,
    Server,
}

/// The steps that the opening of a connection has completed, and the time limit.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    until: Option<Instant>,
    closing_side: ClosingSide,
    connected: Arc<AtomicBool>,
    encrypted: Arc<AtomicBool>,
    opened: Arc<AtomicBool>,
    abort: AbortHandle,
}

impl Progress {
    pub(crate) fn until(until: Option<Instant>) -> Progress {
        Progress { until, ..Progress::default() }
    }

    /// Returns the progress of a connection that the server closes first.
    pub(crate) fn closed_by_server(until: Instant) -> Progress {
        Progress { until: Some(until), closing_side: ClosingSide::Server, ..Progress::default() }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypted.load(Ordering::Relaxed)
    }

    /// Returns true if the stream was opened, even if a later step failed.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Lifts the time limit, since the connection is open.
    pub(crate) fn opened(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    /// Returns the handle that ends the connection.
    pub(crate) fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }
}

/// Makes the driver's streams.
#[derive(Clone)]
pub(crate) struct Connector {
    protection: Protection,
    progress: Progress,
}

impl Connector {
    pub(crate) fn new(protection: Protection, progress: Progress) -> Connector {
        Connector { protection, progress }
    }

    /// Configures the driver to hand over each TCP connection before its first message, plain ones included
    /// (DESIGN.md, D86).
    pub(crate) fn take_over(config: &mut Config) -> &mut Config {
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct)
    }

    async fn open(self, host: &str, mut socket: Socket) -> Result<Inner, BoxError> {
        let (encryption, needed) = match self.protection {
            Protection::Plain => return Ok(Inner::Plain(socket)),
            Protection::Local(local) => return Ok(Inner::Local(UnixStream::connect(local.path()).await?)),
            Protection::Direct(encryption) => return encrypt(encryption, host, socket).await,
            Protection::Offered(encryption) => (encryption, false),
            Protection::Encrypted(encryption) => (encryption, true),
        };
        socket.write_all(&SSL_REQUEST).await?;
        match socket.read_u8().await? {
            b'S' => encrypt(encryption, host, socket).await,
            b'N' if !needed => Ok(Inner::Plain(socket)),
            b'N' => Err(TlsFailure::new("the server does not offer encryption".into()).into()),
            _ => {
                Err(TlsFailure::new("the server does not support encryption, or refuses connections".into())
                    .into())
            }
        }
    }
}

async fn encrypt(encryption: Encryption, host: &str, socket: Socket) -> Result<Inner, BoxError> {
    let stream = encryption.handshake(host, socket).await.map_err(TlsFailure::new)?;
    Ok(Inner::Encrypted(Box::new(stream)))
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Stream;
    type TlsConnect = Opening;
    type Error = BoxError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Opening, BoxError> {
        Ok(Opening { connector: self.clone(), host: host.to_owned() })
    }
}

/// A connection that is being opened.
pub(crate) struct Opening {
    connector: Connector,
    host: String,
}

impl TlsConnect<Socket> for Opening {
    type Stream = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let Opening { connector, host } = self;
        let Progress { until, closing_side, connected, encrypted, opened, abort } =
            connector.progress.clone();
        let open = async move {
            let inner = connector.open(&host, socket).await?;
            connected.store(true, Ordering::Relaxed);
            encrypted.store(matches!(inner, Inner::Encrypted(_)), Ordering::Relaxed);
            Ok(inner)
        };
        Box::pin(async move {
            let Some(until) = until else {
                return open.await.map(|inner| Stream::new(inner, None, closing_side, abort));
            };
            let end = tokio::time::Instant::from_std(until);
            let inner =
                timeout_at(end, open).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let deadline = Deadline { until, sleep: Box::pin(sleep_until(end)), opened };
            Ok(Stream::new(inner, Some(deadline), closing_side, abort))
        })
    }
}
