//! Settings as rustls takes them. Nothing global is touched, so that other users of rustls are not disturbed.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::authorities::Authorities;
use super::verifier::Verifier;
use super::{RootCert, SslMode, TlsSettings, TlsVersion, files};
use crate::error::{BoxError, Error};

/// The protocol's name, which a server wants to hear where encryption comes first.
const ALPN: &[u8] = b"postgresql";

/// The variable that names a file of the system's certificates, which is read by a crate that would wait for a pipe.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// Reads the files and makes the configuration of a client.
pub(super) fn client_config(settings: &TlsSettings) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(
        provider.signature_verification_algorithms,
        authorities(settings, &provider)?,
        settings.mode == SslMode::VerifyFull,
    );
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
fn authorities(settings: &TlsSettings, provider: &CryptoProvider) -> Result<Option<Authorities>, BoxError> {
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
    let revoked = match &settings.crl {
        Some(crl) => files::revocation_lists(crl)?,
        None => Vec::new(),
    };
    let authorities = Authorities::new(roots, revoked, provider.signature_verification_algorithms);
    if authorities.is_empty() {
        return Err(Error::failed("all root certificates have expired, or cannot be read").into());
    }
    Ok(Some(authorities))
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, BoxError> {
    if let Some(path) = std::env::var_os(CERTIFICATES) {
        files::check(Path::new(&path))?;
    }
    let found = rustls_native_certs::load_native_certs();
    match found.errors.into_iter().next() {
        Some(error) if found.certs.is_empty() => {
            Err(Error::failed("cannot read the system's root certificates").caused_by(error).into())
        }
        None if found.certs.is_empty() => Err(Error::failed("the system has no root certificates").into()),
        _ => Ok(found.certs),
    }
}
