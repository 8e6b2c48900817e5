//! How a client connects to servers: addresses, user, token, credentials, certificates.

use std::path::Path;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, ServerError};
use log::debug;
use percent_encoding::percent_decode_str;
use pgq::BoxError;
use tokio::sync::watch;

use super::Options;
use super::connection::REPLY_TIMEOUT;

const TWO_LOGINS: &str = "`nats_creds` and a user or token in `nats_url` exclude each other";

/// Returns the addresses of a list separated by commas.
pub(super) fn servers(url: &str) -> Result<Vec<ServerAddr>, BoxError> {
    let addresses = url.split(',').map(str::trim).filter(|address| !address.is_empty());
    // The address may hold a password, so the error does not show it.
    let parsed: Result<Vec<ServerAddr>, _> = addresses.map(str::parse).collect();
    match parsed {
        Ok(servers) if !servers.is_empty() => Ok(servers),
        Ok(_) => Err("no NATS server: the URL must be such as `nats://127.0.0.1:4222`".into()),
        Err(error) => Err(format!("invalid URL of a NATS server: {error}").into()),
    }
}

/// Connects; `unusable` gets the reason when the connection ends or the server refuses a message, for instance for lack of
/// a permission.
pub(super) async fn connect(
    options: &Options,
    unusable: watch::Sender<Option<String>>,
) -> Result<Client, BoxError> {
    let connecting = with_certificates(login(options).await?, options)?;
    let connecting = connecting.request_timeout(Some(REPLY_TIMEOUT)).name("pgq");
    let connecting = connecting.event_callback(move |event| {
        debug!("NATS: {event}");
        let reason = match event {
            Event::Disconnected | Event::Closed => Some("the connection is lost".to_owned()),
            Event::ServerError(ServerError::Other(reason)) => Some(reason),
            _ => None,
        };
        if reason.is_some() {
            unusable.send_if_modified(|first| {
                let is_first = first.is_none();
                *first = first.take().or(reason);
                is_first
            });
        }
        std::future::ready(())
    });
    let servers: Vec<ServerAddr> = options.servers.iter().map(without_login).collect::<Result<_, _>>()?;
    connecting.connect(&servers).await.map_err(|error| {
        dbscript::Error::failed(format!("cannot connect to NATS at {}", hosts(options)))
            .caused_by(error)
            .into()
    })
}

fn hosts(options: &Options) -> String {
    let hosts = options.servers.iter().map(|server| format!("`{}:{}`", server.host(), server.port()));
    hosts.collect::<Vec<_>>().join(", ")
}

/// Returns an address without user, password and token: the client writes the addresses to the log.
fn without_login(server: &ServerAddr) -> Result<ServerAddr, BoxError> {
    let mut url = server.clone().into_inner();
    let is_removed = url.set_username("").is_ok() && url.set_password(None).is_ok();
    match is_removed {
        true => Ok(ServerAddr::from_url(url)?),
        false => Err(format!("the address of NATS server `{}` cannot have a user", server.host()).into()),
    }
}

/// Returns the options of a connection, with the credentials of the file or of the first address that has some.
async fn login(options: &Options) -> Result<ConnectOptions, BoxError> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = options.servers.iter().find_map(|server| Some((server.username()?, server.password())));
    if let Some(file) = &options.credentials {
        if user.is_some() {
            return Err(dbscript::Error::usage(TWO_LOGINS).into());
        }
        return ConnectOptions::with_credentials_file(file).await.map_err(|error| {
            let what = format!("cannot read the credentials in `{}`", file.display());
            dbscript::Error::failed(what).caused_by(error).into()
        });
    }
    Ok(match user {
        Some((user, Some(password))) => {
            ConnectOptions::with_user_and_password(decoded(user), decoded(password))
        }
        Some((token, None)) => ConnectOptions::with_token(decoded(token)),
        None => ConnectOptions::new(),
    })
}

/// Adds the certificates, whose files must be readable: the client's own error names no file.
fn with_certificates(connecting: ConnectOptions, options: &Options) -> Result<ConnectOptions, BoxError> {
    let mut connecting = connecting;
    if let Some(file) = &options.root_certificate {
        readable(file)?;
        connecting = connecting.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &options.client_certificate {
        readable(certificate)?;
        readable(key)?;
        connecting = connecting.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connecting)
}

fn readable(file: &Path) -> Result<(), BoxError> {
    std::fs::read(file).map(|_| ()).map_err(|error| {
        dbscript::Error::failed(format!("cannot read the certificate or key in `{}`", file.display()))
            .caused_by(error)
            .into()
    })
}
