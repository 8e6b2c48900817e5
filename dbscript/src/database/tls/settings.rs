//! The keywords of a connection string that concern encryption.

use std::fmt;
use std::path::PathBuf;

/// The required encryption and verification of the server (`sslmode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The authorities that may have issued the server's certificate (`sslrootcert`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCert {
    /// None: the server's certificate is not verified, unless `sslmode` requires verification.
    None,
    /// The authorities that the system trusts (`system`).
    System,
    File(PathBuf),
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    Tls12,
    Tls13,
}

/// All keywords that concern encryption. Files are named, not read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) root_cert: RootCert,
    /// The file of the client's certificate (`sslcert`). The default file counts only if it exists.
    pub(crate) cert: Option<PathBuf>,
    /// The file of the certificate's key (`sslkey`). Defaults to a file in the home folder.
    pub(crate) key: Option<PathBuf>,
    pub(crate) key_password: Option<String>,
    /// The file of revocation lists (`sslcrl`). The default file counts only if it exists.
    pub(crate) crl: Option<PathBuf>,
    /// True if the client sends the host's name (`sslsni`).
    pub(crate) sni: bool,
    /// True if TLS begins at once, without a request in PostgreSQL's protocol (`sslnegotiation`).
    pub(crate) direct: bool,
    pub(crate) min_version: Option<TlsVersion>,
    pub(crate) max_version: Option<TlsVersion>,
}

/// Hides the password of the key.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("mode", &self.mode)
            .field("root_cert", &self.root_cert)
            .field("cert", &self.cert)
            .field("key", &self.key)
            .field("key_password", &self.key_password.as_ref().map(|_| "***"))
            .field("crl", &self.crl)
            .field("sni", &self.sni)
            .field("direct", &self.direct)
            .field("min_version", &self.min_version)
            .field("max_version", &self.max_version)
            .finish()
    }
}
