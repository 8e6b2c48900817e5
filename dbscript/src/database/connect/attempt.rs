//! One address of one host.

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Instant;

use postgres::SimpleQueryMessage;
use tokio_postgres::Config;

use super::driver::Driver;
use crate::database::conninfo::{Endpoint, SessionAttrs, Target};
use crate::database::tls::{Encryption, SslMode};
use crate::database::transport::{AbortHandle, Connector, LocalSocket, Progress, Protection};
use crate::error::state_class::StateClass;
use crate::error::tls_failure::TlsFailure;
use crate::error::{BoxError, Error, describe, sqlstate};

pub(super) struct Attempt<'a> {
    pub(super) target: &'a Target,
    pub(super) session: SessionAttrs,
    pub(super) endpoint: &'a Endpoint,
    pub(super) place: &'a Place,
}

/// An open connection, and how it was opened.
pub(crate) struct Found<D: Driver> {
    pub(crate) client: D::Client,
    pub(super) protection: Protection,
    /// `None` for a local socket that the driver has opened by itself.
    pub(crate) abort: Option<AbortHandle>,
}

/// Where a server listens.
pub(super) enum Place {
    /// The folder of its socket.
    Socket(PathBuf),
    /// `name` is what its certificate is compared with.
    Address { name: String, address: IpAddr },
}

/// How strongly encryption is wanted in one of the tries.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Offered,
    Encrypted,
}

impl Way {
    fn wants_encryption(self) -> bool {
        !matches!(self, Way::Plain)
    }
}

impl Attempt<'_> {
    /// Opens a connection in the first way that the server takes.
    pub(super) async fn open<D: Driver>(&self) -> Result<Found<D>, BoxError> {
        let (first, second) = self.ways();
        let progress = self.progress();
        let error = match self.open_in(first, &progress).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let as_wanted = progress.is_encrypted() == first.wants_encryption();
        match second {
            Some(second) if TlsFailure::is_handshake(&*error) || (as_wanted && is_refused(&*error)) => {
                let found = self.open_in(second, &self.progress()).await;
                found.map_err(|other| both(first, error, other))
            }
            _ => Err(error),
        }
    }

    /// Returns how to try, and how then if the server refuses. A socket is never encrypted.
    fn ways(&self) -> (Way, Option<Way>) {
        if matches!(self.place, Place::Socket(_)) {
            return (Way::Plain, None);
        }
        match self.target.tls.mode {
            SslMode::Disable => (Way::Plain, None),
            SslMode::Allow => (Way::Plain, Some(Way::Encrypted)),
            SslMode::Prefer => (Way::Offered, Some(Way::Plain)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Way::Encrypted, None),
        }
    }

    fn progress(&self) -> Progress {
        let timeout = self.target.common.get_connect_timeout();
        Progress::until(timeout.map(|timeout| Instant::now() + *timeout))
    }

    async fn open_in<D: Driver>(&self, way: Way, progress: &Progress) -> Result<Found<D>, BoxError> {
        let abort = Some(progress.abort_handle());
        let Place::Socket(folder) = self.place else {
            return self.finish(self.config(), self.protection(way)?, progress, abort).await;
        };
        if let Ok((local, _stand_in)) = LocalSocket::new(folder, self.endpoint.port) {
            let config = self.local_config(&local);
            let found = self.finish(config, Protection::Local(local), progress, abort).await;
            if found.is_ok() || progress.is_connected() {
                return found;
            }
        }
        // The driver opens the socket by itself, or says why it cannot be opened.
        self.finish(self.config(), Protection::Plain, progress, None).await
    }

    async fn finish<D: Driver>(
        &self,
        config: Config,
        protection: Protection,
        progress: &Progress,
        abort: Option<AbortHandle>,
    ) -> Result<Found<D>, BoxError> {
        let connector = Connector::new(protection.clone(), progress.clone());
        let mut client = D::connect(config, connector).await?;
        check_session::<D>(&mut client, self.session).await?;
        progress.opened();
        Ok(Found { client, protection, abort })
    }

    fn protection(&self, way: Way) -> Result<Protection, BoxError> {
        let encryption = || Encryption::new(&self.target.tls).map_err(TlsFailure::new);
        Ok(match way {
            Way::Plain => Protection::Plain,
            Way::Offered => Protection::Offered(encryption()?),
            Way::Encrypted if self.target.tls.direct => Protection::Direct(encryption()?),
            Way::Encrypted => Protection::Encrypted(encryption()?),
        })
    }

    fn config(&self) -> Config {
        let mut config = self.common_config();
        match &self.place {
            Place::Socket(folder) => {
                config.host_path(folder).ssl_mode(tokio_postgres::config::SslMode::Disable)
            }
            Place::Address { name, address } => Connector::take_over(config.host(name).hostaddr(*address)),
        };
        config.port(self.endpoint.port);
        config
    }

    /// Makes the configuration with which the driver connects to what stands for a socket.
    fn local_config(&self, local: &LocalSocket) -> Config {
        let mut config = self.common_config();
        let address = local.stand_in();
        Connector::take_over(config.host("local").hostaddr(address.ip()).port(address.port()));
        config
    }

    fn common_config(&self) -> Config {
        let mut config = self.target.common.clone();
        if let Some(password) = &self.endpoint.password {
            config.password(password);
        }
        config
    }
}

/// A refusal of the user or of the protocol may be one for the want of encryption, or for its presence.
fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    sqlstate(error).is_some_and(|state| StateClass::Refusal.contains(state))
}

/// Returns both refusals, unless they are the same.
fn both(way: Way, first: BoxError, second: BoxError) -> BoxError {
    let text = describe(&*first);
    if text == describe(&*second) {
        return second;
    }
    let [one, other] =
        if way.wants_encryption() { ["encrypted", "not encrypted"] } else { ["not encrypted", "encrypted"] };
    Error::failed(format!("{one}: {text}; {other}")).caused_by(second).into()
}

/// A server whose sessions are not of the kind that is wanted.
#[derive(Debug)]
pub(super) struct UnwantedSession(&'static str);

impl fmt::Display for UnwantedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for UnwantedSession {}

async fn check_session<D: Driver>(client: &mut D::Client, wanted: SessionAttrs) -> Result<(), BoxError> {
    const READ_ONLY: &str = "show transaction_read_only";
    const IN_RECOVERY: &str = "select pg_catalog.pg_is_in_recovery()";
    let (question, answer, otherwise) = match wanted {
        SessionAttrs::Any => return Ok(()),
        SessionAttrs::ReadWrite => (READ_ONLY, "off", "the session is read-only"),
        SessionAttrs::ReadOnly => (READ_ONLY, "on", "the session is not read-only"),
        SessionAttrs::Primary => (IN_RECOVERY, "f", "the server is a standby"),
        SessionAttrs::Standby | SessionAttrs::PreferStandby => {
            (IN_RECOVERY, "t", "the server is not a standby")
        }
    };
    let rows = D::simple_query(client, question).await?;
    let found = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    if found == Some(answer) { Ok(()) } else { Err(UnwantedSession(otherwise).into()) }
}
