//! Which header names a configuration may claim for client addresses and credentials.
//! Never takes a name that would let one header stand for another.

use http::HeaderName;

use crate::access::certificate_name::{CertificateName, CertificateNameFault};

/// Hop-by-hop fields (RFC 9110 §7.6.1) and what message framing and routing need.
const TAKEN: [&str; 16] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "expect",
    "host",
    "authorization",
    "cookie",
    "via",
];

/// Fields that tell where a request comes from.
const FORWARDING: [&str; 4] = ["forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"];

/// The name of a header that carries a whole key.
pub(super) fn credential_header(text: &str) -> Result<HeaderName, String> {
    let name = header(text)?;
    match name.as_str() {
        "authorization" => {
            Err("`authorization` is read for `basic` and `bearer`; name another header for whole keys".into())
        }
        taken if TAKEN.contains(&taken) => {
            Err(format!("header `{taken}` has a meaning of its own in HTTP; choose a name such as x-api-key"))
        }
        taken if FORWARDING.contains(&taken) || taken.starts_with("x-forwarded-") => {
            Err(format!("header `{taken}` tells where a request comes from; choose a name such as x-api-key"))
        }
        own if own.starts_with("x-portcullis-") => {
            Err(format!("header `{own}` is one that the gateway sets itself; choose a name such as x-api-key"))
        }
        _ => Ok(name),
    }
}

/// A URI with its scheme (RFC 3986 §3), as a certificate can have it: it is compared byte for byte, so that nothing is mended.
pub(super) fn uri(text: &str) -> Result<&str, CertificateNameFault> {
    CertificateName::san_uri(text).map(|_| text)
}

/// The name of a single-valued header that carries the client address.
pub(super) fn address_header(text: &str) -> Result<HeaderName, String> {
    let name = header(text)?;
    match name.as_str() {
        taken if TAKEN.contains(&taken) => Err(format!(
            "header `{taken}` carries no address; write x-forwarded-for, forwarded or a name such as cf-connecting-ip"
        )),
        list if list.starts_with("x-forwarded-") => {
            Err(format!("header `{list}` is not one that names a client; write x-forwarded-for"))
        }
        own if own.starts_with("x-portcullis-") => {
            Err(format!("header `{own}` is one that the gateway sets itself; choose another"))
        }
        _ => Ok(name),
    }
}

fn header(text: &str) -> Result<HeaderName, String> {
    let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
    if text.contains(['_', '.']) {
        // Upstreams read `x_api_key` and `x-api-key` as one name, so that one could stand in for the other.
        return Err(format!("header name `{shown}` has `_` or `.`, which many servers read as `-`; use `-`"));
    }
    HeaderName::try_from(text).map_err(|_| format!("`{shown}` is not the name of a header"))
}
