//! Who vouches for servers.

use std::slice;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::{CertificateError, Error};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptions,
    RevocationOptionsBuilder, VerifiedPath, anchor_from_trusted_cert,
};
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::der::Decode;

use super::{old_certificate, refusal, usage};

/// The certificates of a file, as OpenSSL uses them: those that vouch for themselves are trusted, the others
/// are as if servers had sent them.
pub(super) struct Authorities {
    roots: Vec<Root>,
    /// Those that vouch for themselves, whether or not they may sign others.
    trusted: Vec<CertificateDer<'static>>,
    others: Vec<CertificateDer<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// One that may sign.
struct Root {
    anchor: TrustAnchor<'static>,
    certificate: Certificate,
}

/// Whether the names of a server's certificate are bounded by someone above it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    Any,
    Certain,
}

impl Authorities {
    /// Sorts certificates; those that are not current, or cannot be read, are left out.
    pub(super) fn new(
        certificates: Vec<CertificateDer<'static>>,
        revoked: Vec<CertRevocationList<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Authorities {
        let (roots, trusted, others) = (Vec::new(), Vec::new(), Vec::new());
        let mut authorities = Authorities { roots, trusted, others, revoked, algorithms };
        for der in certificates {
            if let Ok(certificate) = Certificate::from_der(&der) {
                authorities.add(der, certificate);
            }
        }
        authorities
    }

    fn add(&mut self, der: CertificateDer<'static>, certificate: Certificate) {
        let tbs = &certificate.tbs_certificate;
        if verify_time(tbs, UnixTime::now()).is_err() {
            return;
        }
        if tbs.issuer != tbs.subject
            || !old_certificate::may_be_signed_by_itself(&certificate, &self.algorithms)
        {
            return self.others.push(der);
        }
        if let Ok(anchor) = anchor_from_trusted_cert(&der)
            && usage::may_sign(tbs)
        {
            self.roots.push(Root { anchor: anchor.to_owned(), certificate });
        }
        self.trusted.push(der);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trusted.is_empty() && self.others.is_empty()
    }

    /// Verifies a server's certificate, though not that its names are the server's.
    pub(super) fn verify(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Bounds, Error> {
        let leaf = Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
        let tbs = &leaf.tbs_certificate;
        verify_time(tbs, now)?;
        if !usage::may_serve(tbs) {
            return Err(refusal::not_for_servers());
        }
        let is_trusted = self.trusted.contains(der);
        if !is_trusted && tbs.version != Version::V1 {
            return self.verify_chain(der, intermediates, now);
        }
        if !is_trusted && !self.have_signed_old(&leaf) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        if self.revoked.is_empty() {
            Ok(Bounds::Any)
        } else {
            Err(CertificateError::UnknownRevocationStatus.into())
        }
    }

    fn have_signed_old(&self, leaf: &Certificate) -> bool {
        leaf.tbs_certificate.extensions.is_none()
            && self.roots.iter().any(|Root { certificate, .. }| {
                !usage::is_constrained(&certificate.tbs_certificate)
                    && old_certificate::is_signed_by(leaf, certificate, &self.algorithms)
            })
    }

    fn verify_chain(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Bounds, Error> {
        let leaf = EndEntityCert::try_from(der).map_err(refusal::of_webpki)?;
        let between: Vec<_> = intermediates.iter().chain(&self.others).cloned().collect();
        let revoked: Vec<_> = self.revoked.iter().collect();
        let mut refused = webpki::Error::UnknownIssuer;
        for root in &self.roots {
            let verified = leaf.verify_for_usage(
                self.algorithms.all,
                slice::from_ref(&root.anchor),
                &between,
                now,
                KeyUsage::server_auth(),
                revocation(&revoked),
                Some(&|path| root.verify_path(path)),
            );
            match verified {
                Ok(path) => return Ok(root.bounds(&path)),
                Err(webpki::Error::UnknownIssuer) => {}
                Err(other) => refused = other,
            }
        }
        Err(refusal::of_webpki(refused))
    }
}

fn revocation<'a>(revoked: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let options = RevocationOptionsBuilder::new(revoked).ok()?;
    Some(options.with_expiration_policy(ExpirationPolicy::Enforce).build())
}

impl Root {
    /// Verifies what webpki leaves out.
    fn verify_path(&self, path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
        let between = between(path).ok_or(webpki::Error::BadDer)?;
        if !between.iter().all(|one| usage::may_sign(&one.tbs_certificate)) {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
        let counted = |one: &&Certificate| one.tbs_certificate.issuer != one.tbs_certificate.subject;
        let length = between.iter().filter(counted).count();
        if usage::path_length(&self.certificate.tbs_certificate).is_some_and(|limit| length > limit) {
            return Err(webpki::Error::PathLenConstraintViolated);
        }
        Ok(())
    }

    fn bounds(&self, path: &VerifiedPath<'_>) -> Bounds {
        let constrained = |one: &Certificate| usage::is_constrained(&one.tbs_certificate);
        let free = between(path).is_some_and(|between| !between.iter().any(constrained));
        if free && !constrained(&self.certificate) { Bounds::Any } else { Bounds::Certain }
    }
}

fn between(path: &VerifiedPath<'_>) -> Option<Vec<Certificate>> {
    path.intermediate_certificates().map(|one| Certificate::from_der(&one.der()).ok()).collect()
}

fn verify_time(certificate: &TbsCertificate, now: UnixTime) -> Result<(), CertificateError> {
    let validity = &certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        Err(CertificateError::NotValidYet)
    } else if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}
