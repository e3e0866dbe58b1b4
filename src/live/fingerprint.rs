//! The 32 bytes under which a credential is found, computed in one place for the directory and for requests.
//!
//! Never allocates and never keeps what it hashes.

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::access::certificate_name::CertificateName;
use crate::access::credential::Fingerprint;
use crate::access::id::Id;

/// Of a whole key, as a header carries it.
#[inline]
pub fn of_key(key: &[u8]) -> Fingerprint {
    taken(digest(&SHA256, key).as_ref())
}

/// Of a token's subject. Neither part may hold a NUL, which stands between them.
pub fn of_subject(issuer: &str, subject: &str) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    for part in ["portcullis subject\0", issuer, "\0", subject] {
        context.update(part.as_bytes());
    }
    taken(context.finish().as_ref())
}

/// Of a URI that a client certificate has.
pub fn of_certificate_uri(uri: &str) -> Fingerprint {
    of_parts(b"portcullis certificate uri\0", &[uri.as_bytes()])
}

/// Of a client certificate by its SHA-256.
pub fn of_certificate(sha256: &[u8; 32]) -> Fingerprint {
    of_parts(b"portcullis certificate\0", &[sha256])
}

/// Of what a service account is named by in a client certificate.
pub fn of_certificate_name(name: &CertificateName) -> Fingerprint {
    match name {
        CertificateName::SanUri(uri) => of_certificate_uri(uri),
        CertificateName::Sha256(hash) => of_certificate(hash),
    }
}

/// Of a service account by itself: no proof has it.
pub fn of_client(id: Id) -> Fingerprint {
    of_parts(b"portcullis client\0", &[id.as_bytes()])
}

/// Of a service account, as a token proves it that was made from this secret. Without the secret it finds nobody.
pub fn of_client_secret(client: Id, secret: Id) -> Fingerprint {
    of_parts(b"portcullis client secret\0", &[client.as_bytes(), secret.as_bytes()])
}

fn of_parts(begin: &[u8], parts: &[&[u8]]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(begin);
    parts.iter().for_each(|part| context.update(part));
    taken(context.finish().as_ref())
}

/// Of a user name of Digest, which is a public key. The parts of the name come as a header spells it, without its escapes.
pub fn of_digest_user<'n>(parts: impl IntoIterator<Item = &'n [u8]>) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(b"portcullis digest user\0");
    parts.into_iter().for_each(|part| context.update(part));
    taken(context.finish().as_ref())
}

fn taken(digest: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    // SHA-256 is 32 bytes long, so this never panics.
    bytes.copy_from_slice(digest);
    Fingerprint(bytes)
}
