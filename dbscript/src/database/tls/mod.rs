//! Encryption with rustls: the settings of a connection string, and the verification of servers.

mod settings;

#[cfg(feature = "tls")]
mod binding;
#[cfg(feature = "tls")]
mod client_config;
#[cfg(feature = "tls")]
mod common_name;
#[cfg(feature = "tls")]
mod encryption;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod refusal;
#[cfg(feature = "tls")]
mod trust;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
#[path = "no_encryption.rs"]
mod encryption;

pub(crate) use self::encryption::{Encrypted, Encryption, channel_binding, explain_late};
pub(crate) use self::settings::{RootCert, SslMode, TlsSettings, TlsVersion};
