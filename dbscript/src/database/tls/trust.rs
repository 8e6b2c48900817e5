//! Root certificates and revocation lists, in the types of rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::VerifierBuilderError;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::NameConstraints;

use super::{RootCert, SslMode, TlsSettings, files};
use crate::error::{BoxError, Error};

/// The environment variable that names a file of the system's certificates. `rustls-native-certs` would wait without a
/// limit if the file were a pipe.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// The certificates with which servers are verified.
#[derive(Debug)]
pub(super) struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    /// The certificates of the root certificate file that another authority has issued.
    intermediates: Vec<CertificateDer<'static>>,
    /// True if one of the roots may issue certificates for certain names only.
    has_limited_root: bool,
}

impl Trust {
    /// Reads the files that the settings name. Returns `None` if every certificate is accepted.
    ///
    /// As in libpq, an existing root certificate file is used in every mode. A mode that verifies requires one.
    ///
    /// # Errors
    ///
    /// Fails if a required file is missing or a file cannot be used.
    pub(super) fn read(
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Trust>, BoxError> {
        let Some((roots, intermediates)) = roots(settings)? else { return Ok(None) };
        let has_limited_root = roots.roots.iter().any(|root| root.name_constraints.is_some());
        let crl = settings.crl.as_deref();
        let lists = crl.map(files::revocation_lists).transpose()?.unwrap_or_default();
        let verifier = verifier(roots, lists, provider).map_err(|error| match crl {
            Some(path) => BoxError::from(files::wrong(path, error)),
            None => error.into(),
        })?;
        Ok(Some(Trust { verifier, intermediates, has_limited_root }))
    }

    pub(super) fn verifier(&self) -> &WebPkiServerVerifier {
        &self.verifier
    }

    /// Returns the certificates that a chain may contain, with the `sent` ones of the server first.
    pub(super) fn intermediates<'a>(&'a self, sent: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
        sent.iter().chain(&self.intermediates).cloned().collect()
    }

    /// Returns true if an authority may issue certificates for certain names only. rustls compares these names with
    /// alternative names only, not with a common name.
    pub(super) fn is_limited(&self, intermediates: &[CertificateDer<'_>]) -> bool {
        let is_unlimited = |der: &CertificateDer<'_>| {
            let certificate = Certificate::from_der(der);
            certificate.is_ok_and(|one| matches!(one.tbs_certificate.get::<NameConstraints>(), Ok(None)))
        };
        self.has_limited_root || !intermediates.iter().all(is_unlimited)
    }
}

/// Root certificates, and intermediate ones.
type Roots = (RootCertStore, Vec<CertificateDer<'static>>);

fn roots(settings: &TlsSettings) -> Result<Option<Roots>, BoxError> {
    let verify = matches!(settings.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    match &settings.root_cert {
        RootCert::System => Ok(Some((system_roots()?, Vec::new()))),
        RootCert::File(path) if path.exists() => Ok(Some(root_file(path)?)),
        RootCert::File(path) if verify => {
            Err(Error::failed(format!("root certificate file `{}` does not exist", path.display())).into())
        }
        RootCert::None if verify => {
            let text = "no root certificate: set sslrootcert, or create `~/.postgresql/root.crt`";
            Err(Error::failed(text).into())
        }
        RootCert::File(_) | RootCert::None => Ok(None),
    }
}

fn verifier(
    roots: RootCertStore,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
}

/// Reads a root certificate file. As in libpq, a chain ends at a certificate that is its own issuer.
fn root_file(path: &Path) -> Result<Roots, Error> {
    let (intermediates, roots): (Vec<_>, Vec<_>) =
        files::certificates(path)?.into_iter().partition(is_issued_by_another);
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    if store.is_empty() {
        let why = "it contains no root certificate, one that is its own issuer; append it to the file";
        return Err(files::wrong(path, why));
    }
    Ok((store, intermediates))
}

fn is_issued_by_another(der: &CertificateDer<'_>) -> bool {
    let certificate = Certificate::from_der(der);
    certificate.is_ok_and(|one| one.tbs_certificate.issuer != one.tbs_certificate.subject)
}

fn system_roots() -> Result<RootCertStore, BoxError> {
    if let Some(path) = std::env::var_os(CERTIFICATES) {
        files::check(Path::new(&path))?;
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    match found.errors.into_iter().next() {
        Some(error) if store.is_empty() => {
            Err(Error::failed("cannot read the system's root certificates").caused_by(error).into())
        }
        None if store.is_empty() => Err(Error::failed("the system has no root certificates").into()),
        _ => Ok(store),
    }
}
