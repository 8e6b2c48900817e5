//! Settings as rustls takes them. Nothing global is touched, so that other users of rustls are not disturbed.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::verifier::{Trusted, Verifier};
use super::{RootCert, SslMode, TlsSettings, TlsVersion, files, old_certificate};
use crate::{BoxError, Error};

/// The protocol's name, which a server wants to hear where encryption comes first.
const ALPN: &[u8] = b"postgresql";

/// Reads the files and makes the configuration of a client.
pub(super) fn client_config(settings: &TlsSettings) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(ring::default_provider());
    let verifier =
        Verifier::new(&provider, trusted(settings, &provider)?, settings.mode == SslMode::VerifyFull);
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
    Error::failed(format!("sslcert `{}` needs sslkey: there is no key", cert.display()))
}

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let wanted = |version: TlsVersion| {
        settings.min_version.is_none_or(|min| version >= min)
            && settings.max_version.is_none_or(|max| version <= max)
    };
    let known = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
    known.into_iter().filter(|(version, _)| wanted(*version)).map(|(_, version)| version).collect()
}

/// Returns who vouches for servers; none when anybody will do.
///
/// As in libpq, a root certificate that is there is used in every mode, and needed by those that verify.
fn trusted(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Trusted>, BoxError> {
    let verify = matches!(settings.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let roots = match &settings.root_cert {
        RootCert::System => system_roots()?,
        RootCert::File(path) if path.exists() => files::certificates(path)?,
        RootCert::File(path) if verify => {
            let text = format!("root certificate file `{}` does not exist", path.display());
            return Err(Error::failed(text).into());
        }
        RootCert::None if verify => {
            return Err(Error::failed(
                "no root certificate: set sslrootcert, or put one into `~/.postgresql/root.crt`",
            )
            .into());
        }
        RootCert::File(_) | RootCert::None => return Ok(None),
    };
    let mut store = RootCertStore::empty();
    // For webpki, a root is good for ever.
    let roots: Vec<_> = roots.into_iter().filter(old_certificate::is_current).collect();
    if roots.is_empty() {
        return Err(Error::failed("all root certificates have expired").into());
    }
    store.add_parsable_certificates(roots.iter().cloned());
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
    if let Some(crl) = &settings.crl {
        builder = builder.with_crls(files::revocation_lists(crl)?).enforce_revocation_expiration();
    }
    let webpki = builder
        .build()
        .map_err(|error| Error::failed("cannot use the root certificates").caused_by(error))?;
    Ok(Some(Trusted { webpki, roots, revocable: settings.crl.is_some() }))
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let found = rustls_native_certs::load_native_certs();
    match found.errors.into_iter().next() {
        Some(error) if found.certs.is_empty() => {
            Err(Error::failed("cannot read the system's root certificates").caused_by(error).into())
        }
        None if found.certs.is_empty() => Err(Error::failed("the system has no root certificates").into()),
        _ => Ok(found.certs),
    }
}
