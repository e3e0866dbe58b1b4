//! Which certificate a client is shown: one that has the name it asks for (SNI, RFC 6066 §3), with a key it can verify.
//!
//! A client that asks for no name, or for one that no certificate has, is shown the first: it finds out by itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsFault;

/// Certificates of one listener by their names.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// As configured.
    all: Vec<Arc<CertifiedKey>>,
    /// Lower case; `*.` stands for one label. Several where keys differ in their kind.
    named: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
}

impl ByName {
    /// One more certificate, by the names that it has itself.
    ///
    /// # Errors
    /// [`TlsFault`] naming the file.
    pub(super) fn add(&mut self, key: CertifiedKey, path: &Path) -> Result<(), TlsFault> {
        let key = Arc::new(key);
        let leaf = key.end_entity_cert().map_err(|_| TlsFault::NoCertificate { path: path.to_owned() })?;
        let parsed =
            webpki::EndEntityCert::try_from(leaf).map_err(|source| TlsFault::Leaf { path: path.to_owned(), source })?;
        for name in parsed.valid_dns_names() {
            self.named.entry(name.to_ascii_lowercase().into()).or_default().push(Arc::clone(&key));
        }
        self.all.push(Arc::clone(&key));
        Ok(())
    }

    /// The certificate for a name; of several the first whose key the client can verify.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let named = name.as_deref().and_then(|name| {
            let wildcard = || name.split_once('.').and_then(|(_, parent)| self.named.get(&*format!("*.{parent}")));
            self.named.get(name).or_else(wildcard)
        });
        let candidates = named.unwrap_or(&self.all);
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        // Where none fits, the handshake says so.
        candidates.iter().find(fits).or_else(|| candidates.first())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(by: &mut ByName, names: &[&str], kind: &'static rcgen::SignatureAlgorithm) {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let parameters = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let certificate = parameters.unwrap().self_signed(&key).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let certified = CertifiedKey::from_der(vec![certificate.der().clone()], der, &provider).unwrap();
        by.add(certified, Path::new("tls.crt")).unwrap();
    }

    #[test]
    fn names_then_wildcards_then_the_first() {
        let mut by = ByName::default();
        made(&mut by, &["default.example.com"], &rcgen::PKCS_ECDSA_P256_SHA256);
        made(&mut by, &["*.example.com", "Other.example.org"], &rcgen::PKCS_ECDSA_P256_SHA256);
        made(&mut by, &["api.example.com"], &rcgen::PKCS_ED25519);
        made(&mut by, &["api.example.com"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let both = [SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256];
        for (name, schemes, expected) in [
            (None, &both[..], 0),
            (Some("nowhere.example.net"), &both, 0),
            (Some("default.example.com"), &both, 0),
            (Some("a.example.com"), &both, 1),
            (Some("A.EXAMPLE.com"), &both, 1),
            (Some("other.example.org"), &both, 1),
            (Some("a.b.example.com"), &both, 0),
            (Some("example.com"), &both, 0),
            (Some("api.example.com"), &both, 2),
            (Some("api.example.com"), &both[1..], 3),
            (Some("api.example.com"), &[SignatureScheme::RSA_PSS_SHA256], 2),
        ] {
            let found = by.find(name, schemes).unwrap();
            assert!(Arc::ptr_eq(found, &by.all[expected]), "{name:?} {schemes:?}");
        }
        assert!(ByName::default().find(None, &both).is_none());
    }
}
