//! What a request's head must be like before anybody looks at its meaning.
//!
//! Only what hyper lets pass: two hosts, a target that contradicts its host, two methods, an upgrade that would desynchronise.

pub mod http2;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use super::spelling::is_same;
use crate::config::settings::Outbound;

/// Names by which some framework takes another method than the request has.
const METHODS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insane(pub &'static str);

/// Checks a head (RFC 9112 §3.2, threats.md F1, F3, F5, F10).
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(head: &Parts, has_body: bool, outbound: Outbound) -> Result<(), Insane> {
    if head.method == Method::CONNECT {
        return Err(Insane("CONNECT is not served here"));
    }
    if !matches!(head.version, Version::HTTP_2 | Version::HTTP_11 | Version::HTTP_10) {
        return Err(Insane("unknown HTTP version"));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host: &[u8] = match (hosts.next(), hosts.next()) {
        // HTTP/1.0 need not say one (RFC 9112 §3.2); a host in the target alone would be a second place to look for it.
        (None, _) if head.version == Version::HTTP_10 && head.uri.authority().is_none() => b"",
        (Some(host), None) if is_host(host.as_bytes()) => host.as_bytes(),
        (Some(_), None) => return Err(Insane("Host is not a host")),
        (None, _) => return Err(Insane("no Host")),
        (Some(_), Some(_)) => return Err(Insane("more than one Host")),
    };
    if let Some(authority) = head.uri.authority()
        && !authority.as_str().as_bytes().eq_ignore_ascii_case(host)
    {
        return Err(Insane("the target's authority is not the Host"));
    }
    if head.uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Insane("the target's scheme is not http"));
    }
    let path = head.uri.path();
    if !(path.starts_with('/') || head.method == Method::OPTIONS && path == "*") {
        return Err(Insane("the target has no path"));
    }
    if has_body && asks_upgrade(&head.headers) {
        return Err(Insane("an upgrade with a body"));
    }
    if !outbound.overrides && overrides_method(head) {
        return Err(Insane("a header names another method than the request"));
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Insane("a transfer coding other than chunked"));
    }
    if head.headers.get_all(CONTENT_LENGTH).iter().any(|value| !is_length(value.as_bytes())) {
        return Err(Insane("Content-Length is not one number"));
    }
    Ok(())
}

/// Whether the client asks for another protocol.
pub fn asks_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
}

/// Whether some framework takes the request's method from a header of this name.
pub fn is_method_override(name: &str) -> bool {
    METHODS.iter().any(|method| is_same(method, name))
}

/// Whether a header asks for another method than the request line. Removed it would be another request than was meant.
fn overrides_method(head: &Parts) -> bool {
    let method = head.method.as_str().as_bytes();
    head.headers
        .iter()
        .any(|(name, value)| is_method_override(name.as_str()) && !value.as_bytes().eq_ignore_ascii_case(method))
}

fn is_length(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// `host[:port]` of RFC 3986 without userinfo; nothing that another parser could read as the end of it, or as another host.
pub fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = memchr::memchr(b']', literal) else { return false };
            let is_v6 =
                std::str::from_utf8(&literal[..end]).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            (if is_v6 { &b"v6"[..] } else { b"" }, &literal[end + 1..])
        }
        None => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_port = port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit);
    !name.is_empty() && name.iter().all(legal) && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_head(method: &str, target: &str, lines: &[(&str, &str)], body: bool, expected: Option<&str>) {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let outbound = Outbound { forwarded: false, identity_headers: true, overrides: false };
        assert_eq!(check(&head, body, outbound).err().map(|insane| insane.0), expected);
    }

    #[test]
    fn heads_are_judged() {
        check_head("GET", "/", &[("host", "api.example.com:8080")], false, None);
        check_head("GET", "/", &[("host", "[2001:db8::1]:80")], false, None);
        check_head("GET", "http://api.example.com/x", &[("host", "API.example.com")], false, None);
        check_head("OPTIONS", "*", &[("host", "a")], false, None);
        check_head("GET", "/", &[("host", "a"), ("upgrade", "h2c")], false, None);
        check_head("POST", "/", &[("host", "a"), ("content-length", "5")], true, None);
        check_head("GET", "/", &[], false, Some("no Host"));
        check_head("GET", "/", &[("host", "a"), ("host", "a")], false, Some("more than one Host"));
        check_head("GET", "/", &[("host", "a/b")], false, Some("Host is not a host"));
        check_head("GET", "/", &[("host", "u@a")], false, Some("Host is not a host"));
        for host in
            ["", ":80", "a:b", "a:80:80", "a:80.b", "::1", "[a]", "[::1", "[::1]a", "[::1]80", "a]", "[::1%1]", "a,b"]
        {
            check_head("GET", "/", &[("host", host)], false, Some("Host is not a host"));
        }
        check_head("GET", "/", &[("host", "a:")], false, None);
        check_head("GET", "http://b/", &[("host", "a")], false, Some("the target's authority is not the Host"));
        check_head("GET", "http://u@a/", &[("host", "a")], false, Some("the target's authority is not the Host"));
        check_head("GET", "ftp://a/", &[("host", "a")], false, Some("the target's scheme is not http"));
        check_head("GET", "*", &[("host", "a")], false, Some("the target has no path"));
        check_head("CONNECT", "a:443", &[("host", "a:443")], false, Some("CONNECT is not served here"));
        check_head("POST", "/", &[("host", "a"), ("upgrade", "x")], true, Some("an upgrade with a body"));
        let two = Some("a header names another method than the request");
        check_head("POST", "/", &[("host", "a"), ("x-http-method-override", "DELETE")], false, two);
        check_head("GET", "/", &[("host", "a"), ("x_http.method", "")], false, two);
        check_head("POST", "/", &[("host", "a"), ("x-method-override", "post")], false, None);
        let coded = Some("a transfer coding other than chunked");
        check_head("POST", "/", &[("host", "a"), ("transfer-encoding", "gzip, chunked")], true, coded);
        check_head(
            "POST",
            "/",
            &[("host", "a"), ("content-length", "+5")],
            true,
            Some("Content-Length is not one number"),
        );
        check_head(
            "POST",
            "/",
            &[("host", "a"), ("content-length", "5,5")],
            true,
            Some("Content-Length is not one number"),
        );
    }
}
