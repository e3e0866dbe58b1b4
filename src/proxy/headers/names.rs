//! Which header names are whose, in every spelling that some server takes for the same name.
//!
//! Many servers hand `X_Api_Key`, `X.Api.Key` and `X-Api-Key` to the application as one variable (CVE-2025-64484), and some
//! do so for every other character that a name may have: what is ours in one spelling is ours in all of them.

use http::HeaderMap;
use http::header::HeaderName;

use crate::config::settings::{AddressHeader, Gateway};
use crate::gate::sanity::is_method_override;
use crate::gate::spelling::{folded, is_same, is_same_start};

/// The names that a configuration makes ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    settings: &'a Gateway,
}

/// To whom a header name belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The client: it passes.
    Client,
    /// One connection alone.
    HopByHop,
    /// A carrier of credentials.
    Credential,
    /// Set here alone.
    Ours,
    /// A trusted proxy's to set, nobody else's.
    Proxy,
    /// Nobody's, unless the operator says so: what it says is said by the request line, which was judged.
    Override,
}

const PREFIX: &str = "x-portcullis-";

/// Names by which some server or framework learns the client's address. The upstream learns it from `X-Forwarded-For`, and
/// from none that a client could write (threats.md C9).
const ADDRESSES: [&str; 9] = [
    "x-forwarded-for",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
];

/// Names by which some server or framework takes another target or host than the request has: the route that was judged by
/// would not be the one that is served (threats.md F10).
const TARGETS: [&str; 11] = [
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-override-url",
    "x-proxy-url",
    "x-request-uri",
    "x-http-destinationurl",
    "x-script-name",
    "x-host",
    "x-original-host",
    "x-http-host-override",
];

impl<'a> Names<'a> {
    pub(crate) fn of(settings: &'a Gateway) -> Self {
        Self { settings }
    }

    /// Whose a name is. Names are in lower case, as `HeaderName` holds them.
    pub(super) fn owner(self, name: &str) -> Owner {
        if self.settings.credentials.headers.iter().any(|carrier| is_same(carrier.as_str(), name)) {
            // A spelling that is not the configured one was not read, and is a way around the check elsewhere.
            return match self.settings.credentials.headers.iter().any(|carrier| carrier.as_str() == name) {
                true => Owner::Credential,
                false => Owner::Ours,
            };
        }
        if let AddressHeader::Single(single) = &self.settings.client_address.header
            && is_same(single.as_str(), name)
        {
            return if single.as_str() == name { Owner::Proxy } else { Owner::Ours };
        }
        // The only fixed names that matter begin with one of these letters.
        match name.as_bytes().first() {
            Some(b'x') if is_same_start(name, PREFIX) => Owner::Ours,
            Some(b'x' | b't' | b'c' | b'f') if ADDRESSES.iter().any(|address| is_same(address, name)) => Owner::Ours,
            Some(b'x') if name.starts_with("x-forwarded-") && name.bytes().all(|byte| byte == folded(byte)) => {
                Owner::Proxy
            }
            Some(b'x') if is_same_start(name, "x-forwarded-") => Owner::Ours,
            Some(b'f') if name == "forwarded" => Owner::Ours,
            Some(b'x') if is_method_override(name) || TARGETS.iter().any(|target| is_same(target, name)) => {
                Owner::Override
            }
            _ if is_hop_by_hop(name) => Owner::HopByHop,
            Some(b'p') if is_same(name, "proxy-connection") => Owner::HopByHop,
            Some(b't') if is_same(name, "transfer-encoding") => Owner::HopByHop,
            Some(b'k') if is_same(name, "keep-alive") => Owner::HopByHop,
            // Framing is said in its own spelling or not at all.
            Some(b'c') if name != "content-length" && is_same(name, "content-length") => Owner::HopByHop,
            _ => Owner::Client,
        }
    }

    /// Whether a trailer may pass: nothing that is ours, a credential or the framing's.
    fn passes_as_trailer(self, name: &HeaderName) -> bool {
        const FRAMING: [&str; 7] =
            ["host", "content-length", "authorization", "trailer", "content-encoding", "content-type", "cookie"];
        self.owner(name.as_str()) == Owner::Client && !FRAMING.iter().any(|framing| is_same(name.as_str(), framing))
    }

    /// Removes from trailers what may not pass (threats.md H4).
    pub(crate) fn clean_trailers(self, trailers: &mut HeaderMap) {
        let stale: Vec<HeaderName> = trailers.keys().filter(|name| !self.passes_as_trailer(name)).cloned().collect();
        for name in stale {
            trailers.remove(name);
        }
    }
}

pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade" | "http2-settings"
    )
}
