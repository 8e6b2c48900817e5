//! The configuration of rustls. It contains its provider, so the process-wide provider stays unset (DESIGN.md, D88).

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::trust::Trust;
use super::verifier::{NameCheck, Verifier};
use super::{SslMode, TlsSettings, TlsVersion, files};
use crate::error::{BoxError, Error};

/// The name of PostgreSQL's protocol. Servers require it from clients that encrypt without a request.
const ALPN: &[u8] = b"postgresql";

/// Reads the files that the settings name, and makes the configuration of a client.
pub(super) fn client_config(settings: &TlsSettings) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(ring::default_provider());
    let name = if settings.mode == SslMode::VerifyFull { NameCheck::Required } else { NameCheck::Omitted };
    let trust = Trust::read(settings, &provider)?;
    let verifier = Verifier::new(provider.signature_verification_algorithms, trust, name);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.cert {
        None => builder.with_no_client_auth(),
        Some(cert) => {
            let key = settings.key.as_deref().ok_or_else(|| no_key(cert))?;
            let chain = files::certificates(cert)?;
            let key_der = files::private_key(key, settings.key_password.as_deref())?;
            builder.with_client_auth_cert(chain, key_der).map_err(|error| {
                let files = format!("`{}` and `{}`", cert.display(), key.display());
                Error::failed(format!("cannot use sslcert and sslkey {files}")).caused_by(error)
            })?
        }
    };
    config.enable_sni = settings.sni;
    if settings.direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(config)
}

fn no_key(cert: &Path) -> Error {
    Error::failed(format!("sslcert `{}` has no key; set sslkey", cert.display()))
}

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let is_allowed = |version: TlsVersion| {
        settings.min_version.is_none_or(|min| version >= min)
            && settings.max_version.is_none_or(|max| version <= max)
    };
    let all = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
    all.into_iter().filter(|(version, _)| is_allowed(*version)).map(|(_, version)| version).collect()
}
