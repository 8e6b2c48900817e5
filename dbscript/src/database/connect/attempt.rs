//! An attempt to connect to one address of one host.

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

/// The address of a server.
pub(super) enum Place {
    /// The folder of its socket.
    Socket(PathBuf),
    /// `name` is compared with the server's certificate.
    Address { name: String, address: IpAddr },
}

/// The encryption that one try requests.
#[derive(Clone, Copy)]
enum EncryptionPolicy {
    /// None.
    Plain,
    /// Encryption if the server offers it.
    Offered,
    /// Encryption, without which the try fails.
    Encrypted,
}

impl EncryptionPolicy {
    fn requests_encryption(self) -> bool {
        !matches!(self, EncryptionPolicy::Plain)
    }
}

impl Attempt<'_> {
    /// Opens a connection with the first policy that the server accepts.
    pub(super) async fn open<D: Driver>(&self) -> Result<Found<D>, BoxError> {
        let (first, second) = self.policies();
        let progress = self.progress();
        let error = match self.open_with(first, &progress).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let as_requested = progress.is_encrypted() == first.requests_encryption();
        match second {
            Some(second) if TlsFailure::is_handshake(&*error) || (as_requested && is_refused(&*error)) => {
                let found = self.open_with(second, &self.progress()).await;
                found.map_err(|other| match cfg!(feature = "tls") || is_refused(&*other) {
                    true => combine_refusals(first, error, other),
                    // It would fail with encryption, too.
                    false => other,
                })
            }
            _ => Err(error),
        }
    }

    /// Returns the policy of the first try, and that of a second one if the server refuses the first. A local socket is
    /// never encrypted.
    fn policies(&self) -> (EncryptionPolicy, Option<EncryptionPolicy>) {
        use EncryptionPolicy::{Encrypted, Offered, Plain};
        if matches!(self.place, Place::Socket(_)) {
            return (Plain, None);
        }
        match self.target.tls.mode {
            SslMode::Disable => (Plain, None),
            SslMode::Allow => (Plain, Some(Encrypted)),
            SslMode::Prefer => (Offered, Some(Plain)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Encrypted, None),
        }
    }

    fn progress(&self) -> Progress {
        let timeout = self.target.common.get_connect_timeout();
        Progress::until(timeout.map(|timeout| Instant::now() + *timeout))
    }

    async fn open_with<D: Driver>(
        &self,
        policy: EncryptionPolicy,
        progress: &Progress,
    ) -> Result<Found<D>, BoxError> {
        let abort = Some(progress.abort_handle());
        let Place::Socket(folder) = self.place else {
            return self.finish(self.config(), self.protection(policy)?, progress, abort).await;
        };
        if let Ok((local, _stand_in)) = LocalSocket::new(folder, self.endpoint.port) {
            let config = self.local_config(&local);
            let found = self.finish(config, Protection::Local(local), progress, abort).await;
            if found.is_ok() || progress.is_connected() {
                return found;
            }
        }
        // Without a loopback network, the driver opens the socket or reports the reason of the failure.
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

    fn protection(&self, policy: EncryptionPolicy) -> Result<Protection, BoxError> {
        let encryption = || Encryption::new(&self.target.tls).map_err(TlsFailure::new);
        Ok(match policy {
            EncryptionPolicy::Plain => Protection::Plain,
            EncryptionPolicy::Offered => Protection::Offered(encryption()?),
            EncryptionPolicy::Encrypted if self.target.tls.direct => Protection::Direct(encryption()?),
            EncryptionPolicy::Encrypted => Protection::Encrypted(encryption()?),
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

    /// Makes the configuration with which the driver connects to the address that stands for a local socket.
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

/// Returns true if the server refused the user or the protocol. The reason may be that the connection is not encrypted,
/// or that it is.
fn is_refused(error: &(dyn StdError + 'static)) -> bool {
    sqlstate(error).is_some_and(|state| StateClass::Refusal.contains(state))
}

/// Returns both refusals as one error, or the second one if their texts are the same.
fn combine_refusals(policy: EncryptionPolicy, first: BoxError, second: BoxError) -> BoxError {
    let text = describe(&*first);
    if text == describe(&*second) {
        return second;
    }
    let [one, other] = match policy.requests_encryption() {
        true => ["encrypted", "not encrypted"],
        false => ["not encrypted", "encrypted"],
    };
    Error::failed(format!("{one}: {text}; {other}")).caused_by(second).into()
}

/// The error of a server whose session is not of the required kind (`target_session_attrs`).
#[derive(Debug)]
pub(super) struct UnwantedSession(&'static str);

impl fmt::Display for UnwantedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for UnwantedSession {}

async fn check_session<D: Driver>(client: &mut D::Client, required: SessionAttrs) -> Result<(), BoxError> {
    const READ_ONLY: &str = "show transaction_read_only";
    const IN_RECOVERY: &str = "select pg_catalog.pg_is_in_recovery()";
    let (query, expected, otherwise) = match required {
        SessionAttrs::Any => return Ok(()),
        SessionAttrs::ReadWrite => (READ_ONLY, "off", "the session is read-only"),
        SessionAttrs::ReadOnly => (READ_ONLY, "on", "the session is not read-only"),
        SessionAttrs::Primary => (IN_RECOVERY, "f", "the server is a standby"),
        SessionAttrs::Standby | SessionAttrs::PreferStandby => {
            (IN_RECOVERY, "t", "the server is not a standby")
        }
    };
    let rows = D::simple_query(client, query).await?;
    let found = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    if found == Some(expected) { Ok(()) } else { Err(UnwantedSession(otherwise).into()) }
}
