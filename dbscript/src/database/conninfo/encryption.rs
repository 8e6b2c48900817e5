//! The TLS settings of a connection string.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::options::Options;
use crate::database::tls::{RootCert, SslMode, TlsSettings, TlsVersion};
use crate::error::Error;

const SYSTEM: &str = "system";
const FOLDER: &str = ".postgresql";

/// Reads the `ssl` keywords. Checks whether files exist, and reads none of them.
pub(super) fn read(options: &Options, environment: &Environment<'_>) -> Result<TlsSettings, Error> {
    let root_cert = root_cert(options, environment);
    let mode = mode(options, &root_cert)?;
    let (cert, key) = client_cert(options, environment)?;
    let home_crl = || home_file(environment, "root.crl").filter(|file| file.exists());
    let (min_version, max_version) = versions(options)?;
    Ok(TlsSettings {
        mode,
        root_cert,
        cert,
        key,
        key_password: options.given("sslpassword").map(str::to_owned),
        crl: options.given("sslcrl").map(PathBuf::from).or_else(home_crl),
        sni: options.get("sslsni").is_none_or(|value| value.starts_with('1')),
        direct: is_direct(options, mode)?,
        min_version,
        max_version,
    })
}

/// Reads `sslmode`. With `sslrootcert=system`, the host name must be checked: the system's authorities sign
/// certificates for any server.
fn mode(options: &Options, root_cert: &RootCert) -> Result<SslMode, Error> {
    let choices = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
    let mode = options.choice("sslmode", &choices)?;
    match (root_cert, mode) {
        (RootCert::System, None | Some(SslMode::VerifyFull)) => Ok(SslMode::VerifyFull),
        (RootCert::System, Some(_)) => {
            Err(options.invalid("sslmode", "sslrootcert=system requires sslmode=verify-full"))
        }
        _ => Ok(mode.unwrap_or(SslMode::Prefer)),
    }
}

fn root_cert(options: &Options, environment: &Environment<'_>) -> RootCert {
    match options.given("sslrootcert") {
        Some(SYSTEM) => RootCert::System,
        Some(file) => RootCert::File(file.into()),
        None => home_file(environment, "root.crt")
            .filter(|file| file.exists())
            .map_or(RootCert::None, RootCert::File),
    }
}

/// Returns the client's certificate and its key. As in libpq, a certificate file that does not exist counts as no
/// certificate, so the name of a missing file hides the default file.
fn client_cert(
    options: &Options,
    environment: &Environment<'_>,
) -> Result<(Option<PathBuf>, Option<PathBuf>), Error> {
    let choices = [("disable", true), ("allow", true), ("require", false)];
    if options.choice("sslcertmode", &choices)? == Some(false) {
        return Err(options
            .refused("sslcertmode", "the driver cannot check whether the server requests a certificate"));
    }
    let cert = options.given("sslcert").map(PathBuf::from);
    let cert = cert.or_else(|| home_file(environment, "postgresql.crt"));
    let Some(cert) = cert.filter(|file| !is_missing(file) && options.get("sslcertmode") != Some("disable"))
    else {
        return Ok((None, None));
    };
    let key = match options.given("sslkey") {
        Some(key) if key.contains(':') => {
            return Err(options.refused("sslkey", "keys of cryptographic engines are not supported"));
        }
        Some(key) => Some(PathBuf::from(key)),
        None => home_file(environment, "postgresql.key"),
    };
    Ok((Some(cert), key))
}

fn is_missing(file: &Path) -> bool {
    let missing = |error: std::io::Error| {
        error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::NotADirectory
    };
    file.metadata().is_err_and(missing)
}

fn home_file(environment: &Environment<'_>, name: &str) -> Option<PathBuf> {
    Some(environment.home_file(FOLDER)?.join(name))
}

fn is_direct(options: &Options, mode: SslMode) -> Result<bool, Error> {
    let direct = options.choice("sslnegotiation", &[("postgres", false), ("direct", true)])?.unwrap_or(false);
    if direct && matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
        return Err(options.invalid("sslnegotiation", "it requires sslmode=require or stronger"));
    }
    Ok(direct)
}

/// Reads the range of TLS versions. Versions below 1.2 are never used, so a lower minimum has no effect.
fn versions(options: &Options) -> Result<(Option<TlsVersion>, Option<TlsVersion>), Error> {
    let (min, max) = ("ssl_min_protocol_version", "ssl_max_protocol_version");
    let lowest = version(options, min)?.filter(|minor| *minor >= 2);
    let highest = version(options, max)?;
    if highest.is_some_and(|minor| minor < 2) {
        return Err(options.refused(max, "versions below TLSv1.2 are not supported"));
    }
    if lowest.zip(highest).is_some_and(|(lowest, highest)| lowest > highest) {
        return Err(options.invalid(max, "less than `ssl_min_protocol_version`"));
    }
    let tls = |minor: u8| if minor >= 3 { TlsVersion::Tls13 } else { TlsVersion::Tls12 };
    Ok((lowest.map(tls), highest.map(tls)))
}

/// Returns the minor number of a version of TLS 1.
fn version(options: &Options, keyword: &str) -> Result<Option<u8>, Error> {
    let Some(value) = options.given(keyword) else { return Ok(None) };
    let names = ["tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"];
    let found = (0..).zip(names).find(|(_, name)| value.eq_ignore_ascii_case(name));
    let why = "not one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3";
    found.map(|(minor, _)| Some(minor)).ok_or_else(|| options.invalid(keyword, why))
}
