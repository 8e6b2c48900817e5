//! Keywords of libpq that the driver does not support. A keyword is refused if ignoring it would have an effect.

use postgres::config::Host;

use super::Endpoint;
use super::options::Options;
use crate::error::Error;

/// Keywords that are refused whenever they have a value.
const REFUSED: [(&str, &str); 9] = [
    ("require_auth", "the driver cannot restrict the authentication method; see `channel_binding`"),
    ("sslcrldir", "name a file with `sslcrl`"),
    ("sslkeylogfile", "keys of connections are not written to files"),
    ("scram_client_key", "set `password`"),
    ("scram_server_key", "set `password`"),
    ("oauth_issuer", "OAuth"),
    ("oauth_client_id", "OAuth"),
    ("oauth_client_secret", "OAuth"),
    ("oauth_scope", "OAuth"),
];

/// Refuses unsupported keywords. `sslcompression`, `krbsrvname`, `gsslib` and `gssdelegation` are accepted and have no
/// effect.
pub(super) fn check(options: &Options, hosts: &[Endpoint]) -> Result<(), Error> {
    for (keyword, why) in REFUSED {
        if options.given(keyword).is_some() {
            return Err(options.refused(keyword, why));
        }
    }
    check_peer(options, hosts)?;
    check_encryption_by_gss(options)?;
    check_replication(options)?;
    check_encoding(options)?;
    check_protocol(options)
}

/// Refuses `requirepeer` for Unix sockets. libpq ignores it for other connections.
fn check_peer(options: &Options, hosts: &[Endpoint]) -> Result<(), Error> {
    let local = hosts.iter().any(|endpoint| matches!(endpoint.host, Host::Unix(_)));
    if local && options.given("requirepeer").is_some() {
        return Err(options.refused("requirepeer", "the server's user is not checked"));
    }
    Ok(())
}

fn check_encryption_by_gss(options: &Options) -> Result<(), Error> {
    let choices = [("disable", true), ("prefer", true), ("require", false)];
    if options.choice("gssencmode", &choices)? == Some(false) {
        return Err(options.refused("gssencmode", "GSSAPI; see `sslmode`"));
    }
    Ok(())
}

fn check_replication(options: &Options) -> Result<(), Error> {
    let off = ["false", "off", "no", "0"];
    match options.given("replication") {
        Some(value) if !off.contains(&value) => {
            Err(options.refused("replication", "a replication session cannot run statements"))
        }
        _ => Ok(()),
    }
}

/// Accepts UTF-8 only, in any spelling that the server accepts.
fn check_encoding(options: &Options) -> Result<(), Error> {
    let Some(name) = options.given("client_encoding") else { return Ok(()) };
    let normalized: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    if ["utf8", "unicode", "auto"].contains(&normalized.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(options.invalid("client_encoding", "the encoding is always UTF8"))
}

/// Checks that the versions include 3.0, the only one of the driver.
fn check_protocol(options: &Options) -> Result<(), Error> {
    let versions = [("3.0", true), ("3.2", false), ("latest", false), ("", true)];
    options.choice("max_protocol_version", &versions)?;
    if options.choice("min_protocol_version", &versions)? == Some(false) {
        return Err(options.refused("min_protocol_version", "the driver supports version 3.0 only"));
    }
    Ok(())
}
