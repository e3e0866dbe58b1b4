//! A client of Digest that does exactly what a test wants, wrong things included.

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest as _, Md5};

use crate::stage::Answer;

/// Public and private key.
#[derive(Debug, Clone, Copy)]
pub struct Key(pub &'static str, pub &'static str);

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    Sha256,
    Md5,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Sha256 => Self::Md5,
            Self::Md5 => Self::Sha256,
        }
    }

    fn hash(self, text: &str) -> String {
        let hash = match self {
            Self::Sha256 => digest(&SHA256, text.as_bytes()).as_ref().to_vec(),
            Self::Md5 => Md5::digest(text.as_bytes()).to_vec(),
        };
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Key {
    pub fn ha1(self, algorithm: Algorithm, realm: &str) -> String {
        algorithm.hash(&format!("{}:{realm}:{}", self.0, self.1))
    }

    /// As a directory file holds them.
    pub fn ha1s(self, realm: &str) -> String {
        let (sha256, md5) = (self.ha1(Algorithm::Sha256, realm), self.ha1(Algorithm::Md5, realm));
        format!("{{ realm: \"{realm}\", sha256: \"{sha256}\", md5: \"{md5}\" }}")
    }
}

/// One `WWW-Authenticate: Digest`.
#[derive(Debug, Clone)]
pub struct Challenge {
    pub realm: String,
    pub algorithm: String,
    pub qop: String,
    pub nonce: String,
    pub stale: bool,
}

/// All challenges of an answer that are Digest's, in their order.
pub fn challenges(answer: &Answer) -> Vec<Challenge> {
    let lines = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
    let digests = lines.filter_map(|(_, value)| value.strip_prefix("Digest "));
    let challenge = |text: &str| {
        let value = |name: &str| {
            let found = text.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().trim_matches('"').to_owned()
        };
        let (realm, algorithm, qop, nonce) = (value("realm"), value("algorithm"), value("qop"), value("nonce"));
        Challenge { realm, algorithm, qop, nonce, stale: value("stale") == "true" }
    };
    digests.map(challenge).collect()
}

/// A request with a response.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub key: Key,
    pub algorithm: Algorithm,
    pub realm: String,
    pub nonce: String,
    pub nc: &'static str,
    pub qop: &'static str,
    pub method: &'static str,
    pub uri: String,
    /// The target, where it is another one than the response is for.
    pub target: Option<&'static str>,
}

impl Attempt {
    pub fn new(key: Key, algorithm: Algorithm, challenge: &Challenge) -> Self {
        Self {
            key,
            algorithm,
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            nc: "00000001",
            qop: "auth",
            method: "GET",
            uri: "/".into(),
            target: None,
        }
    }

    pub fn nc(self, nc: &'static str) -> Self {
        Self { nc, ..self }
    }

    pub fn nonce(self, nonce: &str) -> Self {
        Self { nonce: nonce.into(), ..self }
    }

    pub fn qop(self, qop: &'static str) -> Self {
        Self { qop, ..self }
    }

    /// For this target.
    pub fn to(self, uri: &str) -> Self {
        Self { uri: uri.into(), ..self }
    }

    /// To this target, with a response for another.
    pub fn sent_to(self, target: &'static str) -> Self {
        Self { target: Some(target), ..self }
    }

    pub fn target(&self) -> &str {
        self.target.unwrap_or(&self.uri)
    }

    pub fn response(&self) -> String {
        let Self { algorithm, nonce, nc, qop, .. } = self;
        let ha1 = self.key.ha1(*algorithm, &self.realm);
        let ha2 = algorithm.hash(&format!("{}:{}", self.method, self.uri));
        algorithm.hash(&format!("{ha1}:{nonce}:{nc}:0a4f113b:{qop}:{ha2}"))
    }

    /// The whole header line.
    pub fn line(&self) -> String {
        let Self { realm, nonce, nc, qop, .. } = self;
        let uri = self.uri.replace('"', "\\\"");
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={}, \
             qop={qop}, nc={nc}, cnonce=\"0a4f113b\", response=\"{}\"",
            self.key.0,
            self.algorithm.name(),
            self.response()
        )
    }
}
