//! Who speaks for a service account besides its secrets: foreign tokens and client certificates, as a form names them.

use super::form::Form;
use crate::access::certificate_name::CertificateName;
use crate::access::record::{AccountRecord, TokenSubject};
use crate::control::Fault;
use crate::problem::{Code, Refusal};

/// Names of the fields; a refusal names them so too.
const ISSUER: &str = "token.issuer";
const SUBJECT: &str = "token.subject";
const SAN_URI: &str = "certificate.sanUri";
const SHA256: &str = "certificate.sha256";

/// What the fields hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Speakers {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) san_uri: String,
    pub(super) sha256: String,
}

impl Speakers {
    /// As they were typed.
    pub(super) fn typed(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self { issuer: text(ISSUER), subject: text(SUBJECT), san_uri: text(SAN_URI), sha256: text(SHA256) }
    }

    /// As they are stored.
    pub(super) fn stored(about: &AccountRecord) -> Self {
        let TokenSubject { issuer, subject } =
            about.subject.clone().unwrap_or_else(|| TokenSubject { issuer: String::new(), subject: String::new() });
        let certificate = about.certificate.as_ref();
        Self {
            issuer,
            subject,
            san_uri: certificate.and_then(CertificateName::as_san_uri).unwrap_or_default().to_owned(),
            sha256: certificate.and_then(CertificateName::as_sha256).unwrap_or_default(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        [&self.issuer, &self.subject, &self.san_uri, &self.sha256].into_iter().all(String::is_empty)
    }

    /// Whose foreign tokens speak for it. One without the other is refused where it is stored.
    pub(super) fn token(&self) -> Option<TokenSubject> {
        let (issuer, subject) = (self.issuer.clone(), self.subject.clone());
        (!issuer.is_empty() || !subject.is_empty()).then_some(TokenSubject { issuer, subject })
    }

    /// Which client certificates speak for it.
    ///
    /// # Errors
    /// Both fields are filled in, or one holds nothing of the kind.
    pub(super) fn certificate(&self) -> Result<Option<CertificateName>, Fault> {
        let (field, name) = match (self.san_uri.as_str(), self.sha256.as_str()) {
            ("", "") => return Ok(None),
            (uri, "") => (SAN_URI, CertificateName::san_uri(uri)),
            ("", hash) => (SHA256, CertificateName::sha256(hash)),
            _ => {
                let wrong = "a certificate is named by its URI or by its hash: empty one of the two fields";
                return Err(Refusal::field(Code::InvalidAttribute, SHA256, wrong).into());
            }
        };
        Ok(Some(name.map_err(|fault| Refusal::field(Code::InvalidAttribute, field, fault.to_string()))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speakers(san_uri: &str, sha256: &str) -> Speakers {
        Speakers { san_uri: san_uri.to_owned(), sha256: sha256.to_owned(), ..Speakers::default() }
    }

    #[test]
    fn a_certificate_has_one_name() {
        let hash = "ab".repeat(32);
        assert_eq!(speakers("", "").certificate().unwrap(), None);
        let named = speakers("", &hash).certificate().unwrap().unwrap();
        assert_eq!(named.as_sha256(), Some(hash.clone()));
        let named = speakers("spiffe://mesh/ns/edge/sa/proxy", "").certificate().unwrap().unwrap();
        assert_eq!(named.as_san_uri(), Some("spiffe://mesh/ns/edge/sa/proxy"));
        for (uri, hash, field) in [("no uri", "", SAN_URI), ("", "00", SHA256), ("spiffe://mesh", &hash, SHA256)] {
            let Err(Fault::Refused(refusal)) = speakers(uri, hash).certificate() else { panic!("{uri} {hash}") };
            assert_eq!(refusal.fields[0].0, field);
        }
    }

    #[test]
    fn half_a_subject_is_left_for_the_store_to_refuse() {
        let half = Speakers { issuer: "https://issuer.example".to_owned(), ..Speakers::default() };
        assert_eq!(half.token().map(|token| token.subject), Some(String::new()));
        assert!(Speakers::default().is_empty() && !half.is_empty() && Speakers::default().token().is_none());
    }
}
