//! Encryption of new connections. STARTTLS is implemented here and not by `lettre`, so that no unencrypted input is
//! read as an encrypted answer.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limited_stream::Stream;

/// The longest line of an answer before the encryption, in bytes.
const MAX_LINE: usize = 1000;
/// The largest number of lines in an answer before the encryption.
const MAX_LINES: usize = 100;
/// The largest file of certificates, in bytes.
const CA_LIMIT: u64 = 16 * 1024 * 1024;
/// The environment variable with the path of the system's certificates.
const CERTIFICATES: &str = "SSL_CERT_FILE";
/// The greeting for `lettre`, in place of the one that was read before STARTTLS.
const READY: &[u8] = b"220 ready\r\n";

/// The kind of encryption of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Encryption {
    /// No encryption.
    None,
    /// By STARTTLS where the server offers it.
    Opportunistic(Tls),
    /// By STARTTLS.
    Required(Tls),
    /// TLS from the start.
    Wrapper(Tls),
}

/// The expected certificate of a server.
#[derive(Clone)]
pub(crate) struct Tls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

impl Tls {
    /// Accepts certificates of a host that the authorities in the file `ca` have signed. Defaults to the system's
    /// authorities.
    ///
    /// # Errors
    ///
    /// When the host is not a valid name for a certificate, or the file contains no certificates.
    pub(crate) fn new(host: &str, ca: Option<&Path>) -> Result<Tls, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let broken = |error: String| format!("certificates in `{}`: {error}", path.display());
                let added =
                    certificates(path).and_then(|found| match roots.add_parsable_certificates(found) {
                        (0, _) => Err("there is none".to_owned()),
                        _ => Ok(()),
                    });
                added.map_err(broken)?;
            }
            None => {
                roots.add_parsable_certificates(system_certificates()?);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Tls { name, config: Arc::new(config) })
    }

    async fn encrypt(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(self.config.clone()).connect(self.name.clone(), stream).await
    }
}

/// Reads the system's certificates. The file in `SSL_CERT_FILE` is checked before, since `rustls-native-certs` would
/// block on a pipe.
fn system_certificates() -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(path) = std::env::var_os(CERTIFICATES) {
        let unusable = |error| format!("certificates in `{}`: {error}", Path::new(&path).display());
        dbscript::read_file(Path::new(&path), CA_LIMIT).map_err(unusable)?;
    }
    Ok(rustls_native_certs::load_native_certs().certs)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = dbscript::read_file(path, CA_LIMIT).map_err(|error| error.to_string())?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

impl Encryption {
    /// Encrypts a new connection. Returns the stream, and the text that `lettre` reads before it.
    pub(crate) async fn apply(
        &self,
        stream: TcpStream,
        hello: &ClientId,
    ) -> io::Result<(Stream, &'static [u8])> {
        match self {
            Encryption::None => Ok((Stream::Plain(stream), b"")),
            Encryption::Wrapper(tls) => Ok((Stream::Encrypted(Box::new(tls.encrypt(stream).await?)), b"")),
            Encryption::Opportunistic(tls) => start_tls(stream, tls, hello, false).await,
            Encryption::Required(tls) => start_tls(stream, tls, hello, true).await,
        }
    }
}

/// Encrypts a connection by STARTTLS. Reads exactly the answers, after which there must be no more input.
async fn start_tls(
    mut stream: TcpStream,
    tls: &Tls,
    hello: &ClientId,
    required: bool,
) -> io::Result<(Stream, &'static [u8])> {
    answer(&mut stream, "220").await?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offers = answer(&mut stream, "250").await?;
    if !offers.iter().skip(1).any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return match required {
            true => Err(broken("STARTTLS is not supported on this server".to_owned())),
            false => Ok((Stream::Plain(stream), READY)),
        };
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    answer(&mut stream, "220").await?;
    match stream.try_read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => {
            return Err(broken(
                "unencrypted data follows the answer to STARTTLS: an attack, or a broken server".to_owned(),
            ));
        }
    }
    Ok((Stream::Encrypted(Box::new(tls.encrypt(stream).await?)), READY))
}

/// Reads an answer with this code and not a byte more. Returns the text of its lines.
async fn answer(stream: &mut TcpStream, code: &str) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < MAX_LINES {
        let line = line(stream).await?;
        let (found, text) = line.split_at_checked(3).unwrap_or((&line, ""));
        if found != code {
            return Err(broken(line));
        }
        lines.push(text.get(1..).unwrap_or_default().to_owned());
        if !text.starts_with('-') {
            return Ok(lines);
        }
    }
    Err(broken("its answer is too long".to_owned()))
}

async fn line(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() <= MAX_LINE {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            byte => line.push(byte),
        }
    }
    Err(broken("a line of its answer is too long".to_owned()))
}

fn broken(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
