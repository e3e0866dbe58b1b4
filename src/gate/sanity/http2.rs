//! What HTTP/2 says in places of its own, said as HTTP/1.1 says it, so that everything behind sees one form.
//!
//! hyper and h2 have refused what RFC 9113 §8.1.1 calls malformed of pseudo-fields, connection-specific fields and lengths.

use http::header::{COOKIE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};

use super::Insane;

/// `:authority` as `Host`, and one line of cookies. A head of another version stays as it is.
///
/// # Errors
/// Whoever looks at `Host` would see another host than whoever looks at `:authority` (threats.md F5), or a value has blanks
/// around it, which HTTP/1.1 can't say (H5).
pub fn unify(head: &mut Parts) -> Result<(), Insane> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    if head.headers.values().any(has_blanks_around) {
        return Err(Insane("a header's value begins or ends with a blank"));
    }
    // Where both are there, `check` compares them.
    if let Some(authority) = head.uri.authority()
        && !head.headers.contains_key(HOST)
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Insane("Host is not a host"))?;
        head.headers.insert(HOST, host);
    }
    join_cookies(&mut head.headers);
    Ok(())
}

/// RFC 9113 §8.2.1.
fn has_blanks_around(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last())
}

/// RFC 9113 §8.2.3.
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // What was legal in each line is legal in all of them.
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn unified(version: Version, uri: &str, lines: &[(&str, &str)]) -> Result<HeaderMap, Insane> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        unify(&mut head).map(|()| head.headers)
    }

    fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn the_authority_becomes_the_host() {
        let headers = unified(Version::HTTP_2, "https://a.example:8443/x", &[]).unwrap();
        assert_eq!(lines(&headers), [("host", "a.example:8443")]);
        let headers = unified(Version::HTTP_2, "https://a.example/x", &[("host", "b.example")]).unwrap();
        assert_eq!(lines(&headers), [("host", "b.example")], "for `check` to see the contradiction");
        let headers = unified(Version::HTTP_11, "https://a.example/x", &[("cookie", "a=1"), ("cookie", " b=2")]);
        assert_eq!(lines(&headers.unwrap()), [("cookie", "a=1"), ("cookie", " b=2")]);
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let crumbs = [("cookie", "a=1"), ("x", "1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
        let headers = unified(Version::HTTP_2, "https://a/", &crumbs).unwrap();
        let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn blanks_around_a_value_are_refused() {
        for value in [" a", "a ", "\ta", "a\t", " "] {
            let refused = unified(Version::HTTP_2, "https://a/", &[("x-api-key", value)]);
            assert_eq!(refused, Err(Insane("a header's value begins or ends with a blank")), "{value:?}");
        }
        assert!(unified(Version::HTTP_2, "https://a/", &[("x", ""), ("y", "a b")]).is_ok());
    }
}
