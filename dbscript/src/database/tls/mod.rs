//! Encryption: what a connection string says about it, and the streams that the driver gets.

mod connector;
mod greeting;
mod local;
mod rollback;
mod scissors;
mod settings;
mod stream;

#[cfg(feature = "tls")]
mod authorities;
#[cfg(feature = "tls")]
mod binding;
#[cfg(feature = "tls")]
mod client_config;
#[cfg(feature = "tls")]
mod encryption;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod host_name;
#[cfg(feature = "tls")]
mod old_certificate;
#[cfg(feature = "tls")]
mod refusal;
#[cfg(feature = "tls")]
mod usage;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
#[path = "no_encryption.rs"]
mod encryption;

pub(crate) use self::connector::{Connector, Progress, Protection};
pub(crate) use self::encryption::Encryption;
pub(crate) use self::local::LocalSocket;
pub(crate) use self::scissors::Scissors;
pub(crate) use self::settings::{RootCert, SslMode, TlsSettings, TlsVersion};
